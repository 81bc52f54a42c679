with

profiles as (
    select * from {{ ref('profiles') }}
),

lapsed as (
    select * from {{ ref('seg_lapsed') }}
)

select profiles.profile_id
from profiles
left join lapsed on profiles.profile_id = lapsed.profile_id
where
    -- one order says nothing about a habit
    profiles.orders >= 2
    and profiles.last_seen_at < {{ days_ago(var('churn_days')) }}
    and lapsed.profile_id is null
