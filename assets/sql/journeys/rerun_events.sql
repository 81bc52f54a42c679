-- The events of the range.
select *
from {{ past.events }}
where occurred_at >= {{ literal(past.start) }} and occurred_at <= {{ literal(past.end) }}
