-- Every pause and resumption up to a moment, in order of time.
select
    scope,
    change,
    changed_at
from tailrace.pause_change
where changed_at <= {{ literal(as_of) }}
order by changed_at, position
