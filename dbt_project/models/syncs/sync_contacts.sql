-- everybody we may write to, as the CRM wants to know them
select
    profile_id,
    email,
    phone,
    first_name,
    last_name,
    country,
    cast(orders as int) as orders,
    revenue,
    cast(last_order_at as date) as last_order_date
from {{ ref('profiles') }}
where email is not null
