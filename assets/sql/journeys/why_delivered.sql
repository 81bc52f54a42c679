-- What vendors said, attempt by attempt.
select
    delivery.as_of as at,
    'delivered' as kind,
    outbox.journey,
    outbox.run_id,
    outbox.node,
    delivery.outcome as decision,
    delivery.reason,
    delivery.run_id as ref,
    delivery.sync as detail,
    delivery.attempt as hop
from {{ kept }}.deliveries as delivery
inner join {{ kept }}.message_outbox as outbox on delivery.{{ quote("key") }} = outbox.send_key and outbox.round = 1
where outbox.unit_id in ({{ profiles }}) and delivery.sync like '%/message_outbox%'
