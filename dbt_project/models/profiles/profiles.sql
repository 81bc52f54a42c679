with

activity as (
    select * from {{ ref('int_profile_activity') }}
),

traits as (
    select * from {{ ref('int_profile_traits') }}
),

orders as (
    select * from {{ ref('int_profile_orders') }}
),

scores as (
    select * from {{ ref('int_profile_scores') }}
),

consent as (
    select * from {{ ref('consent') }}
    where purpose = 'marketing'
),

devices as (
    select * from {{ ref('int_profile_devices') }}
)

select
    -- ids
    activity.profile_id,

    -- text
    traits.email,
    traits.phone,
    devices.push_token,
    traits.first_name,
    traits.last_name,
    traits.country,
    traits.time_zone,
    traits.locale,

    -- numbers
    coalesce(orders.orders, 0) as orders,
    coalesce(orders.items, 0) as items,
    cast(coalesce(orders.revenue, 0) as decimal(18, 2)) as revenue,
    scores.recency_score,
    scores.frequency_score,
    scores.monetary_score,

    -- booleans
    coalesce(email_consent.granted and not email_consent.suppressed, false) as email_marketing,
    coalesce(email_consent.suppressed, false) as email_suppressed,
    coalesce(sms_consent.granted and not sms_consent.suppressed, false) as sms_marketing,
    coalesce(push_consent.granted and not push_consent.suppressed, false) as push_marketing,

    -- times
    activity.first_seen_at,
    activity.last_seen_at,
    activity.signed_up_at,
    activity.last_viewed_at,
    activity.last_cart_at,
    orders.first_order_at,
    orders.last_order_at,
    activity.last_opened_at,
    activity.last_clicked_at,
    email_consent.decided_at as email_marketing_at
from activity
left join traits on activity.profile_id = traits.profile_id
left join orders on activity.profile_id = orders.profile_id
left join devices on activity.profile_id = devices.profile_id
left join scores on activity.profile_id = scores.profile_id
left join consent as email_consent
    on
        activity.profile_id = email_consent.profile_id
        and traits.email = email_consent.contact_point
        and email_consent.channel = 'email'
left join consent as sms_consent
    on
        activity.profile_id = sms_consent.profile_id
        and traits.phone = sms_consent.contact_point
        and sms_consent.channel = 'sms'
left join consent as push_consent
    on
        activity.profile_id = push_consent.profile_id
        and devices.push_token = push_consent.contact_point
        and push_consent.channel = 'push'
