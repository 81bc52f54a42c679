-- Who of those that depend on nobody enters, and why not: `once` and `per_key` count runs and the entrants before.
with

waiting as (
    select
        spot.r,
        spot.pv,
        spot.entered_at,
        spot.lacks_key,
        spot.is_alone,
        version.policy,
        version.first
    from spot
    inner join program_version as version on spot.pv = version.pv
    where spot.state = 'waiting' and spot.lane is null
),

keyed as (
    select
        waiting.*,
        entrant.journey,
        entrant.person,
        entrant.cause,
        case when waiting.policy = 'per_key' then coalesce(entrant.entry_key, '') else '' end as kept_key
    from waiting
    inner join entrant on waiting.r = entrant.r
    where not waiting.is_alone
),

ordered as (
    select
        keyed.*,
        row_number() over (
            partition by keyed.journey, keyed.person, keyed.kept_key, keyed.lacks_key
            order by keyed.entered_at, keyed.cause
        ) as place
    from keyed
),

earlier as (
    select distinct
        known.journey,
        known.person,
        case when ordered.policy = 'per_key' then coalesce(known.entry_key, '') else '' end as kept_key
    from known_run as known
    inner join ordered on known.journey = ordered.journey and known.person = ordered.person
)

select
    r,
    pv,
    entered_at,
    first,
    case when lacks_key then 'no_key' end as reason
from waiting
where is_alone

union all

select
    ordered.r,
    ordered.pv,
    ordered.entered_at,
    ordered.first,
    case
        when ordered.lacks_key then 'no_key'
        when ordered.policy in ('once', 'per_key') and (earlier.person is not null or ordered.place > 1)
            then case ordered.policy when 'once' then 'once' else 'key_seen' end
    end as reason
from ordered
left join earlier
    on
        ordered.journey = earlier.journey
        and ordered.person = earlier.person
        and ordered.kept_key = earlier.kept_key
