select profile_id
from {{ ref('profiles') }}
where
    last_opened_at >= {{ days_ago(var('engaged_days')) }}
    or last_clicked_at >= {{ days_ago(var('engaged_days')) }}
