-- Messages that were admitted and taken back before they were to go, with when: from then on they hold no place.
with

taken_back as (
    select
        message.send_key,
        message.occurred_at as freed_at
    from tailrace.message_event as message
    where message.event = 'withdrawn' and message.send_key in (select admitted.send_key from admitted)

    union all

    select
        outbox.send_key,
        stop.stopped_at as freed_at
    from tailrace.message_outbox as outbox
    inner join stop on outbox.run_id = stop.run_id and outbox.hop > stop.after_hop
    where outbox.purpose <> 'transactional'

    union all

    select
        offer.send_key,
        stop.stopped_at as freed_at
    from offer
    inner join stop on offer.run_id = stop.run_id and offer.hop > stop.after_hop
    where offer.is_marketing
)

select
    send_key,
    min(freed_at) as freed_at
from taken_back
group by send_key
