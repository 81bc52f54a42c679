-- Who of the new runs is held out. Decided per person and journey at the first entry and kept; what was decided before
-- counts first. `alone`: nothing else decides with them (two new runs of one journey, person and share have one answer).
-- `relative`: the runs of the same person, as they were when the run was entered.
{% set global_point = "substring(md5(concat_ws(chr(31), " ~ literal(policy.salt) ~ ", 'global_holdout', unit_id)), 1, 8)" %}
with

fresh as (
    select
        runner.r,
        runner.run_id,
        runner.journey,
        runner.unit_id,
        runner.entered_at,
        version.salt,
        version.holdout_below
    from entrant as runner
    inner join moved on runner.r = moved.r and moved.kind = 'entered'
    inner join program_version as version on moved.pv = version.pv
),

kept as (
    select
        tick,
        run_id,
        journey,
        unit_id,
        entered_at,
        arm
    from tailrace.journey_run
    where unit_id in (select kin.profile_id from kin)
),

shared as (
    select distinct unit_id
    from kept
    {% if has_aliases %}

    union

    select one as unit_id
    from together
    {% endif %}
    {% if has_other_shares %}

    union

    select unit_id
    from fresh
    group by unit_id
    having count(*) > 1
    {% endif %}
),

alone as (
    select fresh.*
    from fresh
    left join shared on fresh.unit_id = shared.unit_id
    where shared.unit_id is null
),

crowd as (
    select fresh.*
    from fresh
    inner join shared on fresh.unit_id = shared.unit_id
),

decided as (
    select
        kept.*,
        cast(null as {{ dialect.text }}) as salt,
        cast(null as {{ dialect.text }}) as holdout_below
    from kept

    union all

    select
        cast({{ number }} as bigint) as tick,
        run_id,
        journey,
        unit_id,
        entered_at,
        cast(null as {{ dialect.text }}) as arm,
        salt,
        holdout_below
    from crowd
),

relatives as (
    select
        crowd.r,
        crowd.journey = decided.journey as is_same,
        decided.*
    from crowd
    inner join decided on crowd.unit_id = decided.unit_id
    where
        decided.arm is not null
        or decided.entered_at < crowd.entered_at
        or (decided.entered_at = crowd.entered_at and decided.run_id <= crowd.run_id)
    {% if has_aliases %}

    union all

    select
        crowd.r,
        crowd.journey = decided.journey as is_same,
        decided.*
    from crowd
    inner join together on crowd.unit_id = together.one and together.from_at <= crowd.entered_at
    inner join decided on together.other = decided.unit_id
    where
        decided.arm is not null
        or decided.entered_at < crowd.entered_at
        or (decided.entered_at = crowd.entered_at and decided.run_id <= crowd.run_id)
    {% endif %}
),

ranked as (
    select
        *,
        row_number() over (
            partition by r
            order by tick, entered_at, run_id
        ) as place,
        row_number() over (
            partition by r, is_same
            order by tick, entered_at, run_id
        ) as place_in_journey
    from relatives
),

globally as (
    select
        r,
        coalesce(arm = 'global_holdout', {{ global_point }} < {{ literal(global_below) }}) as is_held
    from ranked
    where place = 1
),

-- the first run of the person in the journey; where that one was held out of everything, the run itself decides
locally as (
    select
        ranked.r,
        case
            when ranked.arm in ('holdout', 'treated') then ranked.arm = 'holdout'
            when ranked.arm is null
                then
                    substring(md5(concat_ws(chr(31), ranked.salt, 'holdout', ranked.unit_id)), 1, 8)
                    < ranked.holdout_below
            else
                substring(md5(concat_ws(chr(31), crowd.salt, 'holdout', crowd.unit_id)), 1, 8) < crowd.holdout_below
        end as is_held
    from ranked
    inner join crowd on ranked.r = crowd.r
    where ranked.place_in_journey = 1 and ranked.is_same
)

select
    globally.r,
    case
        when globally.is_held then 'global_holdout'
        when locally.is_held then 'holdout'
        else 'treated'
    end as arm
from globally
inner join locally on globally.r = locally.r

union all

select
    r,
    case
        when {{ global_point }} < {{ literal(global_below) }} then 'global_holdout'
        when substring(md5(concat_ws(chr(31), salt, 'holdout', unit_id)), 1, 8) < holdout_below then 'holdout'
        else 'treated'
    end as arm
from alone
