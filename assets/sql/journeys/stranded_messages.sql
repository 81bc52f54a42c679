-- Messages that may still go, by what they would leave by: admitted in their last round, not expired, neither taken back
-- nor told of by any vendor.
with

ranked as (
    select
        outbox.*,
        row_number() over (
            partition by outbox.send_key
            order by outbox.round desc
        ) as place
    from {{ kept }}.message_outbox as outbox
    where outbox.expires_at > {{ literal(as_of) }}
)

select
    journey,
    sink,
    purpose,
    count(*) as messages
from ranked
where
    place = 1
    and decision = 'admitted'
    and send_key not in (
        select message.send_key
        from {{ kept }}.message_event as message
        where message.event = 'withdrawn'
    )
    {% if has_deliveries %}
    and send_key not in (
        select delivery.{{ quote("key") }}
        from {{ kept }}.deliveries as delivery
        where delivery.sync like '%/message_outbox%'
    )
    {% endif %}
group by journey, sink, purpose
order by journey, sink, purpose
