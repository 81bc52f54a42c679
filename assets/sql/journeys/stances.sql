-- What was decided about contact points, from when until when; what was decided first holds before, too, as facts do.
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
        known_by <= {{ literal(clock.known_by) }}
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
    history.profile_id,
    history.channel,
    history.contact_point,
    history.purpose,
    history.granted,
    history.suppressed,
    {{ literal(never) }} as from_at,
    {{ literal(forever) }} as to_at
from history
left join changed on history.profile_id = changed.profile_id
where changed.profile_id is null

union all

select
    history.profile_id,
    history.channel,
    history.contact_point,
    history.purpose,
    history.granted,
    history.suppressed,
    case
        when
            lag(history.from_at) over (
                partition by history.profile_id, history.channel, history.contact_point, history.purpose
                order by history.from_at
            ) is null
            then {{ literal(never) }}
        else history.from_at
    end as from_at,
    coalesce(
        lead(history.from_at) over (
            partition by history.profile_id, history.channel, history.contact_point, history.purpose
            order by history.from_at
        ), {{ literal(forever) }}
    ) as to_at
from history
inner join changed on history.profile_id = changed.profile_id
