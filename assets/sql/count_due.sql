-- how many events in the log are visible now and were not by the clocks of an earlier build
select count(*) as due
from {{ schema }}.stg_event_log
where
    occurred_at <= {{ literal(clock.as_of) }}
    and known_at <= {{ literal(clock.known_by) }}
    and not (
        occurred_at <= {{ literal(before.as_of) }}
        and known_at <= {{ literal(before.known_by) }}
    )
