-- Messages just admitted that are paused when they were to go.
select
    {{ offers }} + {{ dialect.numbered }} as o,
    offer.send_key,
    offer.round + 1 as round,
    offer.run_id,
    offer.hop,
    offer.node,
    offer.journey,
    offer.version,
    offer.unit_id,
    offer.person,
    offer.arm,
    offer.channel,
    offer.sink,
    offer.template,
    offer.purpose,
    offer.priority,
    offer.is_marketing,
    offer.logical_at,
    offer.expires_at,
    judged.window_at as decided_at,
    case
        when offer.is_marketing
            then {{ dialect.window_end("judged.not_before", policy.cap_window.total_seconds() | int) }}
        else judged.not_before
    end as moment
from verdict
inner join offer on verdict.o = offer.o
inner join judged on verdict.o = judged.o
inner join pause_span
    on
        offer.journey = pause_span.journey
        and offer.channel = pause_span.channel
        and offer.is_marketing = pause_span.is_marketing
        and judged.not_before >= pause_span.from_at
        and judged.not_before < pause_span.to_at
where verdict.reason is null
