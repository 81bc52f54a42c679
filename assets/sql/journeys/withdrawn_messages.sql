-- Messages that were taken back and that somebody might still be sending: they have not expired.
select distinct
    message.send_key,
    message.reason
from tailrace.message_event as message
inner join tailrace.message_outbox as outbox on message.send_key = outbox.send_key
where message.event = 'withdrawn' and outbox.expires_at > {{ literal(as_of) }}
