-- how many events are visible now, and how many of them were by the clocks of an earlier run
select
    count(*) as visible,
    count(case when occurred_at <= {{ literal(as_of) }} and known_at <= {{ literal(known_by) }} then 1 end) as before
from main.stg_events
