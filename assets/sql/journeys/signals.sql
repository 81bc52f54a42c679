-- When each run's conditions to leave and its goal first came true, in whatever version it is by then.
with

goals as (
    select
        run_event.r,
        run_event.pv,
        min(run_event.counts_at) as goal_at
    from run_event
    inner join program_version as version
        on
            run_event.pv = version.pv
            and run_event.event = version.goal_event
            and run_event.match = version.goal_match
    inner join runner on run_event.r = runner.r
    where run_event.occurred_at <= {{ dialect.plus_seconds("runner.entered_at", "version.goal_seconds") }}
    group by run_event.r, run_event.pv
),

exits as (
    select
        run_event.r,
        run_event.pv,
        program_exit.place,
        program_exit.event as detail,
        min(run_event.counts_at) as exit_at
    from run_event
    inner join program_exit
        on
            run_event.pv = program_exit.pv
            and run_event.event = program_exit.event
            and run_event.match = program_exit.match
    group by run_event.r, run_event.pv, program_exit.place, program_exit.event
    {% if has_exit_segments %}

    union all

    select
        runner_root.r,
        runner_root.pv,
        program_exit.place,
        program_exit.segment as detail,
        min(greatest(runner_root.entered_at, runner_root.from_at, stay.from_at)) as exit_at
    from runner_root
    inner join program_exit on runner_root.pv = program_exit.pv
    inner join member_stay as stay
        on program_exit.segment = stay.segment and runner_root.root_id = stay.profile_id
    where
        greatest(runner_root.entered_at, runner_root.from_at, stay.from_at) < least(runner_root.to_at, stay.to_at)
    group by runner_root.r, runner_root.pv, program_exit.place, program_exit.segment
    {% endif %}
),

ranked as (
    select
        r,
        pv,
        detail,
        exit_at,
        row_number() over (
            partition by r, pv
            order by exit_at, place
        ) as place
    from exits
),

first_exits as (
    select * from ranked
    where place = 1
)

select
    coalesce(goals.r, first_exits.r) as r,
    coalesce(goals.pv, first_exits.pv) as pv,
    goals.goal_at,
    first_exits.exit_at,
    first_exits.detail as exit_detail
from goals
full outer join first_exits on goals.r = first_exits.r and goals.pv = first_exits.pv
