-- Evaluations of segments that no tick took: by what is there, not by clocks, for a refresh may end after a later tick.
select
    evaluation.segment,
    evaluation.as_of,
    cast({{ number }} as bigint) as tick
from tailrace.segment_evaluation as evaluation
left join tailrace.journey_evaluation as taken
    on evaluation.segment = taken.segment and evaluation.as_of = taken.as_of
where
    evaluation.segment in ({{ segments }})
    and evaluation.as_of <= {{ literal(clock.as_of) }}
    and evaluation.known_by <= {{ literal(clock.known_by) }}
    and taken.segment is null
