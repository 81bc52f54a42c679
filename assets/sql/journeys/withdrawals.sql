-- Messages that were admitted and are not to be sent after all, each once, for the first reason there was.
with

decisions as (
    select
        outbox.send_key,
        outbox.round,
        outbox.run_id,
        outbox.hop,
        outbox.purpose,
        outbox.expires_at,
        outbox.decision = 'admitted' as is_admitted
    from tailrace.message_outbox as outbox
    where outbox.run_id in (select stop.run_id from stop)
    {% if has_decided %}

    union all

    select
        send_key,
        round,
        run_id,
        hop,
        purpose,
        expires_at,
        reason is null as is_admitted
    from decided
    where run_id in (select stop.run_id from stop)
    {% endif %}
),

latest as (
    select
        *,
        row_number() over (
            partition by send_key
            order by round desc
        ) as place
    from decisions
),

stopped as (
    select
        latest.send_key,
        stop.reason,
        stop.stopped_at,
        row_number() over (
            partition by latest.send_key
            order by stop.stopped_at, stop.reason
        ) as place
    from latest
    inner join stop on latest.run_id = stop.run_id
    left join tailrace.message_event as known on latest.send_key = known.send_key and known.event = 'withdrawn'
    where
        latest.place = 1
        and latest.is_admitted
        and latest.purpose <> 'transactional'
        and stop.after_hop < latest.hop
        and stop.stopped_at < latest.expires_at
        and known.send_key is null
)

select
    send_key,
    'withdrawn' as event,
    reason,
    'tailrace' as provider,
    'withdrawn/' || send_key as provider_event_id,
    stopped_at as occurred_at
from stopped
where place = 1
