-- What these people did that a journey waits for.
select
    event.source,
    event.event_id,
    event.profile_id,
    event.name,
    event.occurred_at,
    event.properties
from (
    select source, event_id, profile_id, name, occurred_at, properties
    from tailrace.journey_event

    union all

    select source, event_id, profile_id, name, occurred_at, properties
    from new_event
) as event
where
    event.profile_id in (select kin.profile_id from kin)
    and event.name in ({{ names }})
