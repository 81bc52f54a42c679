-- What happens next to each run, one row a run whose next is not after the tick: of its step, what interrupts it and its
-- goal the earliest; at one moment the interruption. `rank`: merged, published, exited, goal, step.
{% set spot_columns %}
        spot.r,
        spot.pv,
        spot.n,
        spot.hop,
        spot.since_at,
        spot.entered_at,
        spot.lane,
        spot.ended_at,
        spot.state,
{% endset %}
with

step as (
    {% include "journeys/steps.sql" %}
)

{% if has_interruptions %}
, interruptions as (
    select
{{ spot_columns }}        greatest(signal.exit_at, spot.at_time) as move_at,
        2 as move_rank,
        'exited' as kind,
        {{ out }} as target,
        'exit_condition' as ended,
        signal.exit_detail as detail,
        cast(null as integer) as new_pv
    from spot
    inner join signal on spot.r = signal.r and spot.pv = signal.pv
    where spot.state = 'active' and signal.exit_at is not null

    union all

    select
{{ spot_columns }}        greatest(signal.goal_at, spot.at_time) as move_at,
        3 as move_rank,
        'goal' as kind,
        {{ out }} as target,
        'goal' as ended,
        version.goal_event as detail,
        cast(null as integer) as new_pv
    from spot
    inner join signal on spot.r = signal.r and spot.pv = signal.pv
    inner join program_version as version on spot.pv = version.pv
    where spot.state <> 'waiting' and not spot.is_settled and signal.goal_at is not null
    {% if has_publications %}

    union all

    select
{{ spot_columns }}        later.published_at as move_at,
        1 as move_rank,
        case later.on_publish when 'exit' then 'retired' else 'migrated' end as kind,
        case later.on_publish when 'exit' then {{ out }} else migration.target end as target,
        case later.on_publish when 'exit' then 'retired' end as ended,
        cast(null as {{ dialect.text }}) as detail,
        case later.on_publish when 'migrate' then later.pv end as new_pv
    from spot
    inner join program_version as mine on spot.pv = mine.pv
    inner join program_version as later
        on mine.journey = later.journey and mine.version < later.version and later.published_at >= spot.at_time
    left join program_migration as migration on later.pv = migration.pv and spot.n = migration.n
    where
        spot.state = 'active'
        and (
            later.on_publish = 'exit'
            or (later.on_publish = 'migrate' and later.version = mine.version + 1 and migration.n is not null)
        )
    {% endif %}
    {% if has_pairs %}

    union all

    select
{{ spot_columns }}        greatest(pair.from_at, spot.at_time) as move_at,
        0 as move_rank,
        'merged' as kind,
        {{ out }} as target,
        'merged' as ended,
        cast(null as {{ dialect.text }}) as detail,
        cast(null as integer) as new_pv
    from pair
    inner join spot on pair.r = spot.r
    inner join spot as survivor on pair.survivor = survivor.r
    where spot.state = 'active' and survivor.state = 'active'
    {% endif %}
),

ranked as (
    select
        *,
        row_number() over (
            partition by r
            order by move_at, move_rank, new_pv nulls last
        ) as place
    from interruptions
),

interruption as (
    select * from ranked
    where place = 1
),

next_moves as (
    select
        step.r,
        step.pv,
        step.n,
        step.hop,
        step.since_at,
        step.entered_at,
        step.lane,
        cast(null as {{ dialect.kind("timestamptz") }}) as ended_at,
        coalesce(interruption.move_at <= step.move_at, false) as is_interrupted,
        step.move_at as step_at,
        step.kind as step_kind,
        step.target as step_target,
        step.ended as step_ended,
        step.detail as step_detail,
        interruption.move_at,
        interruption.move_rank,
        interruption.kind,
        interruption.target,
        interruption.ended,
        interruption.detail,
        interruption.new_pv
    from step
    left join interruption on step.r = interruption.r

    union all

    -- who has left may still reach the goal
    select
        r,
        pv,
        n,
        hop,
        since_at,
        entered_at,
        lane,
        ended_at,
        true as is_interrupted,
        cast(null as {{ dialect.kind("timestamptz") }}) as step_at,
        cast(null as {{ dialect.text }}) as step_kind,
        cast(null as integer) as step_target,
        cast(null as {{ dialect.text }}) as step_ended,
        cast(null as {{ dialect.text }}) as step_detail,
        move_at,
        move_rank,
        kind,
        target,
        ended,
        detail,
        new_pv
    from interruption
    where state = 'over'
)

select
    r,
    pv,
    n,
    hop,
    since_at,
    entered_at,
    lane,
    ended_at,
    case when is_interrupted then move_at else step_at end as move_at,
    case when is_interrupted then move_rank else 4 end as move_rank,
    case when is_interrupted then kind else step_kind end as kind,
    case when is_interrupted then target else step_target end as target,
    case when is_interrupted then ended else step_ended end as ended,
    case when is_interrupted then detail else step_detail end as detail,
    case when is_interrupted then new_pv end as new_pv
from next_moves
where case when is_interrupted then move_at else step_at end <= {{ literal(clock.as_of) }}
{% else %}

select
    r,
    pv,
    n,
    hop,
    since_at,
    entered_at,
    lane,
    cast(null as {{ dialect.kind("timestamptz") }}) as ended_at,
    move_at,
    4 as move_rank,
    kind,
    target,
    ended,
    detail,
    cast(null as integer) as new_pv
from step
where move_at <= {{ literal(clock.as_of) }}
{% endif %}
