{{ config(materialized='view') }}

with

-- a proxy that loads a picture, or a scanner that follows a link, is not the person
events as (
    select
        *,
        coalesce({{ json_text('properties', '$.machine') }} = 'true', false) as is_machine
    from {{ ref('int_events') }}
)

select
    profile_id,
    min(occurred_at) as first_seen_at,
    -- what the person did, not what was done about them
    max(
        case
            when
                name not in (
                    'Contact Updated', 'Order Refunded', 'Message Accepted', 'Message Rejected', 'Message Delivered',
                    'Message Bounced', 'Message Converted'
                )
                and not is_machine
                then occurred_at
        end
    ) as last_seen_at,
    min(case when name = 'Signed Up' then occurred_at end) as signed_up_at,
    max(case when name = 'Product Viewed' then occurred_at end) as last_viewed_at,
    max(case when name = 'Cart Updated' then occurred_at end) as last_cart_at,
    max(case when name = 'Message Opened' and not is_machine then occurred_at end) as last_opened_at,
    max(case when name = 'Message Clicked' and not is_machine then occurred_at end) as last_clicked_at
from events
group by profile_id
