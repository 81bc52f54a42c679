-- which identifiers were seen together, each combination once, since when
select
    user_id,
    crm_id,
    email,
    phone,
    anonymous_id,
    profile_id,
    min(occurred_at) as first_seen_at
from {{ schema }}.int_event_identifiers
where
    coalesce(user_id, crm_id, email, phone, anonymous_id, profile_id) is not null
{% if since %}
    and (occurred_at > {{ literal(since.as_of) }} or known_at > {{ literal(since.known_by) }})
{% endif %}
group by user_id, crm_id, email, phone, anonymous_id, profile_id
