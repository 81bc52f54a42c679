-- Whose zone, contact points or dates are other than the history has them; everybody it does not know.
with

ranked as (
    select
        profile_id,
        email,
        phone,
        push_token,
        time_zone,
        dates,
        row_number() over (
            partition by profile_id
            order by as_of desc
        ) as place
    from tailrace.profile_history
),

latest as (
    select * from ranked
    where place = 1
),

today as (
    select
        profiles.profile_id,
        profiles.email,
        profiles.phone,
        profiles.push_token,
        known_zone.name as time_zone,
        {{ dates }} as dates
    from {{ schema }}.profiles as profiles
    left join known_zone on profiles.time_zone = known_zone.name
)

select
    today.profile_id,
    today.email,
    today.phone,
    today.push_token,
    today.time_zone,
    today.dates,
    {{ literal(clock.as_of) }} as as_of,
    {{ literal(clock.known_by) }} as known_by
from today
left join latest on today.profile_id = latest.profile_id
where
    latest.profile_id is null
    or today.email is distinct from latest.email
    or today.phone is distinct from latest.phone
    or today.push_token is distinct from latest.push_token
    or today.time_zone is distinct from latest.time_zone
    or today.dates is distinct from latest.dates
