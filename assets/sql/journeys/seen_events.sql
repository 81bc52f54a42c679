-- The events of these names up to what the last tick saw, as they are known now and as ticks took them: how many, and the
-- sum of their moments. They differ where an event became visible later than its clock says, or a name is asked for first.
select
    count(*) as n,
    sum(cast({{ dialect.seconds_between(literal(never), "occurred_at") }} as bigint)) as moments
from {{ relation }}
where
    name in ({{ names }})
    and occurred_at <= {{ literal(before.as_of) }}
    and known_at <= {{ literal(before.known_by) }}
    and occurred_at >= {{ literal(since) }}
