-- Messages that may be decided now: sends that no row of the outbox is about, and those that were admitted but could not
-- go because they were paused. `moment`: when they are decided if nothing is paused; `o`: their number in this tick.
{% set window_end = dialect.window_end("sends.logical_at", policy.cap_window.total_seconds() | int) %}
with

{% if has_sent %}
new_sends as (
    select
        {{ olds }} + sends.r * {{ max_hops + 2 }} + sends.hop as o,
        runner.run_id,
        runner.unit_id,
        coalesce(held.arm, runner.arm) as arm,
        sends.hop,
        sends.logical_at,
        sends.moment,
        sends.n
    from (
        select
            sends.r,
            sends.hop,
            sends.move_at as logical_at,
            node.n,
            case
                when node.purpose <> 'transactional' then {{ window_end | replace("logical_at", "move_at") }}
                else sends.move_at
            end as moment
        from moved as sends
        inner join program_node as node on sends.from_n = node.n
        where sends.kind = 'sent'
    ) as sends
    inner join runner on sends.r = runner.r
    left join held on sends.r = held.r
    where sends.moment <= {{ literal(clock.as_of) }}
),

{% endif %}
undecided as (
    select
        old_send.o,
        old_send.run_id,
        run.unit_id,
        run.arm,
        old_send.hop,
        old_send.logical_at,
        old_send.moment,
        old_send.n,
        1 as round,
        old_send.logical_at as offered_at,
        cast({{ literal(never) }} as {{ dialect.kind("timestamptz") }}) as decided_at
    from old_send
    inner join tailrace.journey_run as run on old_send.run_id = run.run_id
    {% if has_sent %}

    union all

    select
        new_sends.*,
        1 as round,
        logical_at as offered_at,
        cast({{ literal(never) }} as {{ dialect.kind("timestamptz") }}) as decided_at
    from new_sends
    {% endif %}
    {% if held_since %}

    union all

    select
        -{{ dialect.numbered }} as o,
        outbox.run_id,
        outbox.unit_id,
        run.arm,
        outbox.hop,
        outbox.logical_at,
        case
            when outbox.purpose <> 'transactional'
                then {{ dialect.window_end("outbox.not_before", policy.cap_window.total_seconds() | int) }}
            else outbox.not_before
        end as moment,
        node.n,
        outbox.round + 1 as round,
        outbox.not_before as offered_at,
        outbox.window_at as decided_at
    from tailrace.message_outbox as outbox
    left join tailrace.message_outbox as later
        on outbox.send_key = later.send_key and outbox.round < later.round
    inner join pause_span
        on
            outbox.journey = pause_span.journey
            and outbox.channel = pause_span.channel
            and (outbox.purpose <> 'transactional') = pause_span.is_marketing
            and outbox.not_before >= pause_span.from_at
            and outbox.not_before < pause_span.to_at
    inner join tailrace.journey_run as run on outbox.run_id = run.run_id
    inner join program_version as version on outbox.journey = version.journey and outbox.version = version.version
    inner join program_node as node on version.pv = node.pv and outbox.node = node.node
    where
        version.is_ticked
        and outbox.decision = 'admitted'
        and later.send_key is null
        and outbox.not_before >= {{ literal(held_since) }}
    {% endif %}
)

select
    undecided.o,
    md5(
        concat_ws(chr(31), 'send', undecided.run_id, node.node, cast(undecided.hop as {{ dialect.text }}))
    ) as send_key,
    undecided.round,
    undecided.run_id,
    undecided.hop,
    node.node,
    version.journey,
    version.version,
    undecided.unit_id,
    coalesce(alias.root_id, undecided.unit_id) as person,
    undecided.arm,
    node.channel,
    node.sink,
    node.template,
    node.purpose,
    node.priority,
    node.purpose <> 'transactional' as is_marketing,
    undecided.logical_at,
    {{ dialect.plus_seconds("undecided.logical_at", "node.expires") }} as expires_at,
    undecided.decided_at,
    undecided.moment
from undecided
inner join program_node as node on undecided.n = node.n
inner join program_version as version on node.pv = version.pv
left join alias on undecided.unit_id = alias.profile_id and alias.to_at = {{ literal(forever) }}
