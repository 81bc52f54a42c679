-- Messages of unknown outcome that the provider has told of since: it had them, or says that it did not pass them on.
-- One row a key; `stg_events` has what was reported by now.
with

doubts as (
    select
        unknowns.sync,
        unknowns.destination,
        unknowns.key,
        max(deliveries.epoch) as epoch,
        max(deliveries.seq) as seq,
        case
            when unknowns.sync like '%/message_outbox/%' then unknowns.key
            else {{ dialect.sha256("concat(unknowns.destination, '|', unknowns.sync, '|', unknowns.key)") }}
        end as send_key
    from tailrace.unknowns as unknowns
    inner join tailrace.deliveries as deliveries
        on
            unknowns.sync = deliveries.sync
            and unknowns.destination = deliveries.destination
            and unknowns.key = deliveries.key
            and deliveries.outcome = 'unknown'
    where unknowns.op = 'send'
    group by unknowns.sync, unknowns.destination, unknowns.key
),

told as (
    select
        {{ dialect.json_text("properties", "$.send_key") }} as send_key,
        name,
        event_id,
        row_number() over (
            partition by {{ dialect.json_text("properties", "$.send_key") }}
            order by case name when 'Message Rejected' then 2 else 1 end, occurred_at, event_id
        ) as place
    from {{ events }}
    where
        name in (
            'Message Accepted', 'Message Rejected', 'Message Delivered', 'Message Opened', 'Message Clicked',
            'Message Bounced', 'Message Complained', 'Message Unsubscribed'
        )
)

select
    doubts.sync,
    doubts.destination,
    doubts.key,
    doubts.epoch,
    doubts.seq,
    case told.name when 'Message Rejected' then 'rejected' else 'accepted' end as outcome,
    told.name as told,
    told.event_id,
    {{ literal(at) }} as settled_at
from doubts
inner join told on doubts.send_key = told.send_key and told.place = 1
