select
    message.occurred_at as at,
    'withdrawn' as kind,
    outbox.journey,
    outbox.run_id,
    outbox.node,
    message.event as decision,
    message.reason,
    message.send_key as ref,
    outbox.template as detail
from {{ kept }}.message_event as message
inner join {{ kept }}.message_outbox as outbox on message.send_key = outbox.send_key and outbox.round = 1
where message.event = 'withdrawn' and outbox.unit_id in ({{ profiles }})
