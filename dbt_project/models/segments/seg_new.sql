select profile_id
from {{ ref('profiles') }}
where
    first_seen_at >= {{ days_ago(var('new_days')) }}
