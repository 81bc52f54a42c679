-- What takes messages of a run back that is not the run's own end. Waits that timed out although what they waited for had
-- come in time: it became known too late. And exit conditions that came true after the last step, while a message of the
-- run could still go. One row a run and hop after which it holds; another where it turns out to have been earlier.
with

places as (
    select
        known_run.r,
        trail.hop,
        trail.kind,
        trail.ended,
        version.pv,
        node.n,
        trail.logical_at,
        trail.since_at,
        trail.due_at
    from known_run
    inner join trail on known_run.r = trail.r
    inner join program_version as version
        on known_run.journey = version.journey and trail.version = version.version
    left join program_node as node on version.pv = node.pv and trail.node = node.node
    where
        {% if has_run_events %}
        known_run.r in (select run_event.r from run_event)
        or
        {% endif %}
        known_run.r in (select signal.r from signal)
),

{% if has_run_events %}
waits as (
    select
        timed_out.r,
        timed_out.hop,
        timed_out.pv,
        node.event,
        node.match,
        arrived.due_at,
        arrived.since_at,
        node.from_entry
    from places as timed_out
    inner join places as arrived on timed_out.r = arrived.r and timed_out.hop = arrived.hop + 1
    inner join program_node as node on timed_out.n = node.n
    where timed_out.kind = 'timed_out' and node.then_n <> node.else_n
),

late_events as (
    select
        waits.r,
        waits.hop as after_hop,
        'late_event' as reason,
        min(run_event.counts_at) as stopped_at
    from waits
    inner join run_event
        on
            waits.r = run_event.r
            and waits.pv = run_event.pv
            and waits.event = run_event.event
            and waits.match = run_event.match
    inner join runner on waits.r = runner.r
    where
        run_event.counts_at <= waits.due_at
        and (
            waits.from_entry
            or run_event.occurred_at > waits.since_at
            or waits.since_at = runner.entered_at
        )
    group by waits.r, waits.hop
),

{% endif %}
moves as (
    select
        r,
        pv,
        kind,
        ended,
        n,
        logical_at
    from places

    union all

    select
        r,
        pv,
        kind,
        ended,
        from_n as n,
        move_at as logical_at
    from moved
    where r in (select signal.r from signal)
),

ends as (
    select
        r,
        pv,
        logical_at
    from moves
    where ended is not null and ended not in ({{ withdrawing }})
),

late_exits as (
    select
        ends.r,
        -1 as after_hop,
        'exit_condition' as reason,
        greatest(signal.exit_at, ends.logical_at) as stopped_at
    from ends
    inner join signal on ends.r = signal.r and ends.pv = signal.pv
    where
        signal.exit_at is not null
        and exists (
            select 1
            from moves as sends
            inner join program_node as node on sends.n = node.n
            where
                sends.r = ends.r
                and sends.kind = 'sent'
                and {{ dialect.plus_seconds("sends.logical_at", "node.expires") }}
                > greatest(signal.exit_at, ends.logical_at)
        )
),

found as (
    {% if has_run_events %}
    select * from late_events

    union all

    {% endif %}
    select * from late_exits
),

known as (
    select
        run_id,
        after_hop,
        reason,
        min(stopped_at) as stopped_at
    from tailrace.journey_late
    group by run_id, after_hop, reason
)

select
    runner.run_id,
    found.stopped_at,
    found.reason,
    found.after_hop
from found
inner join runner on found.r = runner.r
left join known
    on runner.run_id = known.run_id and found.after_hop = known.after_hop and found.reason = known.reason
where known.run_id is null or found.stopped_at < known.stopped_at
