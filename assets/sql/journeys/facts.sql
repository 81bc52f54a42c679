-- What people held, from when until when: zone, contact points, dates. What is known of them first is all that is known
-- of the time before: somebody orders at nine, and the refresh that finds who that is comes at ten.
with

history as (
    select
        profile_id,
        email,
        phone,
        push_token,
        time_zone,
        dates,
        as_of
    from tailrace.profile_history
    where
        known_by <= {{ literal(clock.known_by) }}
        {% if people %}
        and profile_id in (select {{ people }}.profile_id from {{ people }})
        {% endif %}
),

changed as (
    select profile_id
    from history
    group by profile_id
    having count(*) > 1
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
        when lag(history.as_of) over (partition by history.profile_id order by history.as_of) is null
            then {{ literal(never) }}
        else history.as_of
    end as from_at,
    coalesce(
        lead(history.as_of) over (partition by history.profile_id order by history.as_of), {{ literal(forever) }}
    ) as to_at
from history
inner join changed on history.profile_id = changed.profile_id
