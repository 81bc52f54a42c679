-- Messages by what became of them: sent is null, else the reason; who left before it was to go did not get it.
with

ranked as (
    select
        outbox.*,
        row_number() over (
            partition by outbox.send_key
            order by outbox.round desc
        ) as place
    from tailrace.message_outbox as outbox
    where outbox.journey = {{ literal(journey) }}
),

told as (
    select
        case when message.send_key is not null then 'withdrawn' else ranked.reason end as reason
    from ranked
    left join tailrace.message_event as message
        on
            ranked.send_key = message.send_key
            and message.event = 'withdrawn'
            and message.occurred_at < ranked.not_before
    where ranked.place = 1
)

select
    reason,
    count(*) as n
from told
group by reason
order by reason
