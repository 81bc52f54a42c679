select profile_id
from {{ ref('profiles') }}
where
    last_seen_at >= {{ days_ago(var('active_days')) }}
