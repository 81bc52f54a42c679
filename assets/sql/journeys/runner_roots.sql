-- Who the unit of a run was, from when until when, in each version that the run may be in.
with

roots as (
    select
        profile_id,
        root_id,
        from_at,
        to_at
    from alias

    union all

    select
        profile_id,
        profile_id as root_id,
        {{ literal(never) }} as from_at,
        min(from_at) as to_at
    from alias
    group by profile_id
)

select
    runner.r,
    runner_version.pv,
    runner.entered_at,
    coalesce(roots.root_id, runner.unit_id) as root_id,
    coalesce(roots.from_at, {{ literal(never) }}) as from_at,
    coalesce(roots.to_at, {{ literal(forever) }}) as to_at
from runner
inner join runner_version on runner.r = runner_version.r
left join roots on runner.unit_id = roots.profile_id
