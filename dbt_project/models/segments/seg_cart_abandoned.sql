select profile_id
from {{ ref('profiles') }}
where
    last_cart_at >= {{ days_ago(var('cart_days')) }}
    -- who still was at it on the last whole day may yet come back
    and last_cart_at < {{ days_ago(0) }}
    and (last_order_at is null or last_order_at < last_cart_at)
