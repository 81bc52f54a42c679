select profile_id
from {{ ref('profiles') }}
where
    orders = 1
