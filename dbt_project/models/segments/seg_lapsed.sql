select profile_id
from {{ ref('profiles') }}
where
    orders > 0
    and last_order_at < {{ days_ago(var('lapsed_days')) }}
