select profile_id
from {{ ref('profiles') }}
where
    revenue >= {{ var('high_value_revenue') }}
