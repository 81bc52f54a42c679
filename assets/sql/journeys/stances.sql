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
        as_of
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
    having min(as_of) < max(as_of)
)

select
    history.*,
    {{ literal(never) }} as from_at,
    {{ literal(forever) }} as to_at
from history
left join changed on history.profile_id = changed.profile_id
where changed.profile_id is null

union all

select
    history.*,
    case
        when
            lag(history.as_of) over (
                partition by history.profile_id, history.channel, history.contact_point, history.purpose
                order by history.as_of
            ) is null
            then {{ literal(never) }}
        else history.as_of
    end as from_at,
    coalesce(
        lead(history.as_of) over (
            partition by history.profile_id, history.channel, history.contact_point, history.purpose
            order by history.as_of
        ), {{ literal(forever) }}
    ) as to_at
from history
inner join changed on history.profile_id = changed.profile_id
