select
    segment,
    as_of,
    known_by
from {{ kept }}.segment_evaluation
where segment in ({{ segments }})

union all

select
    named.segment,
    past_day.ended_at as as_of,
    past_day.ended_at as known_by
from (
    select distinct segment
    from {{ kept }}.segment_days
    where segment in ({{ segments }})
) as named
cross join past_day
left join (
    select
        segment,
        min(as_of) as first_at
    from {{ kept }}.segment_evaluation
    group by segment
) as begun on named.segment = begun.segment
where begun.first_at is null or past_day.ended_at < begun.first_at
