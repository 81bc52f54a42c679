{{ config(materialized='view') }}

with

events as (
    select * from {{ ref('int_events') }}
    where name in ('Order Completed', 'Order Refunded')
),

parsed as (
    select
        profile_id,
        source,
        event_id,
        name,
        occurred_at,
        {{ json_text('properties', '$.order_id') }} as order_id,
        coalesce(
            {{ try_cast(json_text('properties', '$.quantity'), 'int') }},
            {{ try_cast(json_text('properties', '$.items'), 'int') }}
        ) as items,
        {{ try_cast(json_text('properties', '$.revenue'), 'decimal(18, 2)') }} as revenue,
        {{ try_cast(json_text('properties', '$.refund'), 'decimal(18, 2)') }} as refund
    from events
),

-- an order told twice is one order; without a number each event is one
ranked as (
    select
        *,
        row_number() over (
            partition by source, name, coalesce(order_id, event_id)
            order by occurred_at, event_id
        ) as told
    from parsed
),

orders as (
    select
        profile_id,
        count(*) as orders,
        cast(sum(items) as bigint) as items,
        cast(sum(revenue) as decimal(18, 2)) as revenue,
        min(occurred_at) as first_order_at,
        max(occurred_at) as last_order_at
    from ranked
    where name = 'Order Completed' and told = 1
    group by profile_id
),

-- an order may be refunded in parts
refunds as (
    select
        profile_id,
        cast(sum(refund) as decimal(18, 2)) as refunded
    from parsed
    where name = 'Order Refunded'
    group by profile_id
)

select
    coalesce(orders.profile_id, refunds.profile_id) as profile_id,
    coalesce(orders.orders, 0) as orders,
    coalesce(orders.items, 0) as items,
    cast(coalesce(orders.revenue, 0) - coalesce(refunds.refunded, 0) as decimal(18, 2)) as revenue,
    orders.first_order_at,
    orders.last_order_at
from orders
full outer join refunds on orders.profile_id = refunds.profile_id
