select
    outbox.window_at as at,
    'decided' as kind,
    outbox.journey,
    outbox.run_id,
    outbox.node,
    outbox.decision,
    outbox.reason,
    outbox.send_key as ref,
    outbox.template || ' by ' || outbox.channel as detail,
    outbox.not_before,
    outbox.expires_at,
    outbox.round,
    outbox.hop
from {{ kept }}.message_outbox as outbox
where outbox.unit_id in ({{ profiles }})
