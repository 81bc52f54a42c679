-- Who moves in a round with lanes: everybody who depends on nobody; of every lane those that come before the next who may
-- enter, but one at a time where one run may give way to another; and who enters.
{% set columns = "r, pv, n, hop, since_at, entered_at, lane, ended_at, move_at, kind, target, ended, detail, new_pv" %}
with

gates as (
    select
        spot.lane,
        min(runner.entered_at) as entered_at
    from spot
    inner join runner on spot.r = runner.r
    where spot.state = 'waiting' and spot.lane is not null
    group by spot.lane
),

ranked as (
    select
        move.*,
        gates.entered_at as next_at,
        row_number() over (
            partition by move.lane
            order by move.move_at, move.move_rank, runner.entered_at, runner.run_id
        ) as place
    from move
    inner join runner on move.r = runner.r
    left join gates on move.lane = gates.lane
    where move.lane is not null and move.lane not in (select entry.lane from lane_entry as entry)
)

select {{ columns }}
from move
where lane is null

union all

select {{ columns }}
from ranked
where
    place = 1
    or (
        (next_at is null or move_at <= next_at)
        {% if has_pairs %}
        and lane not in (select spot.lane from pair inner join spot on pair.r = spot.r)
        {% endif %}
    )

union all

select
    r,
    pv,
    cast(null as integer) as n,
    -1 as hop,
    entered_at as since_at,
    entered_at,
    lane,
    cast(null as {{ dialect.kind("timestamptz") }}) as ended_at,
    entered_at as move_at,
    'entered' as kind,
    first as target,
    cast(null as {{ dialect.text }}) as ended,
    cast(null as {{ dialect.text }}) as detail,
    cast(null as integer) as new_pv
from lane_entry
where reason is null
