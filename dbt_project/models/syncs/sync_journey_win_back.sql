-- who is in the audience that journeys call win_back: by each person's latest step
with

changes as (
    select * from {{ source('kept', 'journey_audience') }}
    where audience = 'win_back'
),

profile_map as (
    select * from {{ source('tailrace', 'profile_map') }}
    where identifier_type = 'profile_id'
),

latest as (
    select
        coalesce(profile_map.profile_id, changes.profile_id) as profile_id,
        changes.op,
        row_number() over (
            partition by coalesce(profile_map.profile_id, changes.profile_id)
            order by changes.logical_at desc, changes.hop desc, changes.run_id desc
        ) as place
    from changes
    left join profile_map on changes.profile_id = profile_map.identifier
)

select profile_id
from latest
where place = 1 and op = 'enter'
