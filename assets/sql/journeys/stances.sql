-- What was decided about contact points, from when until when.
with

history as (
    select
        profile_id,
        channel,
        contact_point,
        purpose,
        granted,
        suppressed,
        as_of as from_at
    from tailrace.consent_history
    where
        as_of <= {{ literal(clock.as_of) }}
        and known_by <= {{ literal(clock.known_by) }}
        and profile_id in (select kin.profile_id from kin)
),

-- of whom nothing was decided at two moments, what was decided holds
changed as (
    select profile_id
    from history
    group by profile_id
    having min(from_at) < max(from_at)
)

select
    history.*,
    {{ literal(forever) }} as to_at
from history
left join changed on history.profile_id = changed.profile_id
where changed.profile_id is null

union all

select
    history.*,
    coalesce(
        lead(history.from_at) over (
            partition by history.profile_id, history.channel, history.contact_point, history.purpose
            order by history.from_at
        ), {{ literal(forever) }}
    ) as to_at
from history
inner join changed on history.profile_id = changed.profile_id
