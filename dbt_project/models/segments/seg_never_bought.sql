select profile_id
from {{ ref('profiles') }}
where
    signed_up_at is not null
    and orders = 0
