{{ config(materialized='view') }}

-- five classes of buyers by how lately, how often and for how much they bought; equal ones share a class
with

orders as (
    select * from {{ ref('int_profile_orders') }}
    where orders > 0
),

ranked as (
    select
        profile_id,
        percent_rank() over (order by last_order_at) as recency,
        percent_rank() over (order by orders) as frequency,
        percent_rank() over (order by revenue) as monetary
    from orders
)

select
    profile_id,
    least(1 + cast(floor(recency * 5) as int), 5) as recency_score,
    least(1 + cast(floor(frequency * 5) as int), 5) as frequency_score,
    least(1 + cast(floor(monetary * 5) as int), 5) as monetary_score
from ranked
