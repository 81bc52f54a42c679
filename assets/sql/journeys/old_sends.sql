-- Sends of ticks before that nothing was decided about, and whose window is closed if nothing is paused.
{% set window_end = dialect.window_end("sends.logical_at", policy.cap_window.total_seconds() | int) %}
with

known as (
    select
        run_id,
        hop
    from tailrace.message_outbox
    where logical_at >= {{ literal(since) }}
),

sends as (
    select
        sends.run_id,
        sends.hop,
        sends.logical_at,
        node.n,
        case when node.purpose <> 'transactional' then {{ window_end }} else sends.logical_at end as moment
    from tailrace.journey_transition as sends
    inner join program_version as version on sends.journey = version.journey and sends.version = version.version
    inner join program_node as node on version.pv = node.pv and sends.node = node.node
    where version.is_ticked and sends.kind = 'sent' and sends.logical_at >= {{ literal(since) }}
)

select
    {{ dialect.numbered }} as o,
    sends.*
from sends
left join known on sends.run_id = known.run_id and sends.hop = known.hop
where known.run_id is null and sends.moment <= {{ literal(clock.as_of) }}
