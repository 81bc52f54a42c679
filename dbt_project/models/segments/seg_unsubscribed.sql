select profile_id
from {{ ref('profiles') }}
where
    email is not null
    -- who never decided is not unsubscribed
    and email_marketing_at is not null
    and not email_marketing
