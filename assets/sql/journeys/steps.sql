-- Where each active run's step leads, and when: due or not, the statement of moves decides. One row a run, with where
-- it stands. `kinds`: of the steps at which anybody is.
{% set matched_at = "matched.counts_at" if has_run_events else "cast(null as " ~ dialect.kind("timestamptz") ~ ")" %}
{% set bare %}
        r,
        pv,
        n,
        hop,
        since_at,
        entered_at,
        lane,
{% endset %}
{% set carried %}
        stepping.r,
        stepping.pv,
        stepping.n,
        stepping.hop,
        stepping.since_at,
        stepping.entered_at,
        stepping.lane,
{% endset %}
with

here as (
    select
        spot.r,
        spot.pv,
        spot.n,
        spot.hop,
        spot.since_at,
        spot.entered_at,
        spot.lane,
        spot.at_time,
        spot.due_at,
        node.node,
        node.kind,
        node.next_n,
        node.then_n,
        node.else_n,
        node.detail,
        node.event,
        node.match,
        node.from_entry,
        node.horizon
    from spot
    inner join program_node as node on spot.n = node.n
    where spot.state = 'active'
),

stepping as (
    select * from here
    where hop < {{ max_hops }}
),

led as (
    {% if "send" in kinds or "sync" in kinds %}
    select
{{ bare }}        at_time as move_at,
        case kind when 'send' then 'sent' else 'synced' end as kind,
        next_n as target,
        cast(null as {{ dialect.text }}) as ended,
        detail
    from stepping
    where kind in ('send', 'sync')

    union all

    {% endif %}
    {% if "exit" in kinds %}
    select
{{ bare }}        at_time as move_at,
        'finished' as kind,
        {{ out }} as target,
        'exit_step' as ended,
        detail
    from stepping
    where kind = 'exit'

    union all

    {% endif %}
    select
{{ bare }}        at_time as move_at,
        'looped' as kind,
        {{ out }} as target,
        'looped' as ended,
        cast(null as {{ dialect.text }}) as detail
    from here
    where hop >= {{ max_hops }}
    {% if "wait" in kinds %}

    union all

    select
{{ bare }}        case when due_at is null then at_time else greatest(due_at, at_time) end as move_at,
        case when due_at is null then 'no_date' else 'waited' end as kind,
        case when due_at is null then {{ out }} else next_n end as target,
        case when due_at is null then 'no_date' end as ended,
        cast(null as {{ dialect.text }}) as detail
    from stepping
    where kind = 'wait'
    {% endif %}
    {% if "split" in kinds %}

    union all

    select
{{ carried }}        stepping.at_time as move_at,
        'split' as kind,
        way.target,
        cast(null as {{ dialect.text }}) as ended,
        way.way as detail
    from (
        select
            here.*,
            substring(md5(concat_ws(chr(31), version.salt, here.node, runner.unit_id)), 1, 8) as point
        from here
        inner join runner on here.r = runner.r
        inner join program_version as version on here.pv = version.pv
        where here.kind = 'split' and here.hop < {{ max_hops }}
    ) as stepping
    inner join program_split as way
        on stepping.n = way.n and stepping.point >= way.low and stepping.point < way.high
    {% endif %}
    {% if "branch" in kinds %}

    union all

    select
{{ carried }}        stepping.at_time as move_at,
        'branched' as kind,
        coalesce(arm.target, stepping.else_n) as target,
        cast(null as {{ dialect.text }}) as ended,
        coalesce(arm.way, 'else') as detail
    from stepping
    left join (
        {% include "journeys/arms.sql" %}
    ) as taken on stepping.r = taken.r
    left join program_arm as arm on stepping.n = arm.n and taken.place = arm.place
    where stepping.kind = 'branch'
    {% endif %}
    {% if "wait_for" in kinds %}

    union all

    select
{{ carried }}        greatest(
            stepping.at_time,
            coalesce(
                {{ matched_at }},
                case
                    when stepping.horizon >= stepping.due_at then stepping.due_at
                    else {{ dialect.plus_seconds("stepping.due_at", "version.max_stale") }}
                end
            )
        ) as move_at,
        case
            when {{ matched_at }} is not null then 'matched'
            when stepping.horizon >= stepping.due_at then 'timed_out'
            else 'stale'
        end as kind,
        case
            when {{ matched_at }} is not null then stepping.then_n
            when stepping.horizon >= stepping.due_at then stepping.else_n
            else {{ out }}
        end as target,
        case
            when {{ matched_at }} is null and stepping.horizon < stepping.due_at then 'stale'
        end as ended,
        stepping.detail
    from stepping
    inner join program_version as version on stepping.pv = version.pv
    {% if has_run_events %}
    left join (
        select
            stepping.r,
            min(run_event.counts_at) as counts_at
        from stepping
        inner join run_event
            on
                stepping.r = run_event.r
                and stepping.pv = run_event.pv
                and stepping.event = run_event.event
                and stepping.match = run_event.match
        where
            stepping.kind = 'wait_for'
            and run_event.counts_at <= stepping.due_at
            and (
                stepping.from_entry
                or run_event.occurred_at > stepping.since_at
                or stepping.since_at = stepping.entered_at
            )
        group by stepping.r
    ) as matched on stepping.r = matched.r
    {% endif %}
    where stepping.kind = 'wait_for'
    {% endif %}
)

select * from led
