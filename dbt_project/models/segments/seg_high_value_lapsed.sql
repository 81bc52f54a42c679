with

high_value as (
    select * from {{ ref('seg_high_value') }}
),

lapsed as (
    select * from {{ ref('seg_lapsed') }}
)

select high_value.profile_id
from high_value
inner join lapsed on high_value.profile_id = lapsed.profile_id
