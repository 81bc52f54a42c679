-- What other journeys were let send: it counts for caps and repetitions.
select
    send_key,
    round,
    run_id,
    node,
    hop,
    journey,
    version,
    unit_id,
    profile_id,
    channel,
    sink,
    template,
    purpose,
    priority,
    logical_at,
    window_at,
    not_before,
    expires_at,
    zone,
    decision,
    reason
from {{ kept }}.message_outbox
where journey <> {{ literal(journey) }} and logical_at <= {{ literal(end) }}
