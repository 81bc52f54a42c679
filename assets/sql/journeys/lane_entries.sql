-- Of every lane whose earliest is an entry: the first that may enter, and those before it that may not, with the reason.
with

next_moves as (
    select
        lane,
        min(move_at) as move_at
    from move
    where lane is not null
    group by lane
),

waiting as (
    select
        spot.r,
        spot.lane,
        spot.pv,
        runner.unit_id,
        runner.entered_at,
        runner.entry_key,
        runner.cause,
        version.policy,
        version.gap,
        version.first,
        spot.lacks_key
    from spot
    inner join runner on spot.r = runner.r
    inner join program_version as version on spot.pv = version.pv
    left join next_moves on spot.lane = next_moves.lane
    where
        spot.state = 'waiting'
        and spot.lane is not null
        and (next_moves.move_at is null or runner.entered_at < next_moves.move_at)
),

earlier as (
    select
        waiting.r,
        count(*) as runs,
        max(case when known.entry_key = waiting.entry_key then 1 else 0 end) as same_key,
        max(case when spot.ended_at is null or spot.ended_at > waiting.entered_at then 1 else 0 end) as still_in,
        max(known.entered_at) as entered_at
    from waiting
    inner join spot on waiting.lane = spot.lane and spot.state <> 'waiting'
    inner join runner as known on spot.r = known.r
    {% if has_aliases %}
    left join together on waiting.unit_id = together.one and known.unit_id = together.other
    where known.unit_id = waiting.unit_id or together.from_at <= waiting.entered_at
    {% endif %}
    group by waiting.r
),

judged as (
    select
        waiting.*,
        case
            when waiting.lacks_key then 'no_key'
            when waiting.policy = 'once' and earlier.runs > 0 then 'once'
            when waiting.policy = 'per_key' and earlier.same_key = 1 then 'key_seen'
            when waiting.policy = 'after_exit' and earlier.still_in = 1 then 'still_in'
            when {{ dialect.plus_seconds("earlier.entered_at", "waiting.gap") }} > waiting.entered_at then 'too_soon'
        end as reason
    from waiting
    left join earlier on waiting.r = earlier.r
),

ordered as (
    select
        judged.*,
        sum(case when judged.reason is null then 1 else 0 end) over (
            partition by judged.lane
            order by judged.entered_at, judged.cause
            rows between unbounded preceding and 1 preceding
        ) as accepted_before
    from judged
)

select
    r,
    lane,
    pv,
    entered_at,
    first,
    reason
from ordered
where coalesce(accepted_before, 0) = 0
