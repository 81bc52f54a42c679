-- Two runs of one journey and key whose people became one while both were in it: `r` gives way to `survivor`.
-- The run of the profile that survives goes on, else the older.
with

placed as (
    select
        spot.r,
        spot.lane,
        runner.run_id,
        runner.unit_id,
        runner.entry_key,
        runner.entered_at
    from spot
    inner join runner on spot.r = runner.r
    where spot.lane is not null
),

paired as (
    select
        one.r,
        other.r as survivor,
        together.from_at,
        one.unit_id,
        other.unit_id as other_unit,
        coalesce(alias.root_id, one.unit_id) as winner,
        one.entered_at < other.entered_at
        or (one.entered_at = other.entered_at and one.run_id < other.run_id) as is_older
    from placed as one
    inner join placed as other
        on one.lane = other.lane and one.entry_key is not distinct from other.entry_key
    inner join together on one.unit_id = together.one and other.unit_id = together.other
    left join alias
        on
            one.unit_id = alias.profile_id
            and together.from_at >= alias.from_at
            and together.from_at < alias.to_at
    where one.entered_at <= together.from_at and other.entered_at <= together.from_at
)

select
    r,
    survivor,
    from_at
from paired
where unit_id <> winner and (other_unit = winner or not is_older)
