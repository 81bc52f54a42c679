-- What people decided: the history, the first record of which counts for all that was before it; without one as of now.
{% if recorded_at %}
select
    profile_id,
    channel,
    contact_point,
    purpose,
    granted,
    suppressed,
    reason,
    case when as_of = {{ literal(recorded_at) }} then {{ literal(never) }} else as_of end as as_of,
    case when as_of = {{ literal(recorded_at) }} then {{ literal(never) }} else known_by end as known_by
from {{ kept }}.consent_history
{% else %}
select
    profile_id,
    channel,
    contact_point,
    purpose,
    granted,
    suppressed,
    reason,
    {{ literal(never) }} as as_of,
    {{ literal(never) }} as known_by
from {{ kept }}.consent
{% endif %}
