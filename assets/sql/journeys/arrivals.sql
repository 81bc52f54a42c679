-- The transitions of this round: where each run was, where it is now, and until when it waits there. `source`: all moves;
-- the turns of a round with lanes; or the entries of those who depend on nobody.
with

going as (
    {% if source == "moves" %}
    {% include "journeys/moves.sql" %}
    {% elif source == "turns" %}
    select * from turn
    {% else %}
    select
        r,
        pv,
        cast(null as integer) as n,
        -1 as hop,
        entered_at as since_at,
        entered_at,
        cast(null as bigint) as lane,
        cast(null as {{ dialect.kind("timestamptz") }}) as ended_at,
        entered_at as move_at,
        'entered' as kind,
        first as target,
        cast(null as {{ dialect.text }}) as ended,
        cast(null as {{ dialect.text }}) as detail,
        cast(null as integer) as new_pv
    from free_entry
    where reason is null
    {% endif %}
),

moving as (
    select
        r,
        hop + 1 as hop,
        n as from_n,
        coalesce(new_pv, pv) as pv,
        kind,
        detail,
        move_at,
        case when target >= 0 then target end as n,
        coalesce(ended, case target when {{ completed }} then 'completed' when {{ out }} then 'exit_step' end) as ended,
        case when new_pv is not null and target >= 0 then since_at else move_at end as since_at,
        entered_at,
        ended_at,
        lane
    from going
)

select
    moving.*,
    node.kind as node_kind,
    {% if has_local_waits %}
    case
        when node.kind = 'wait' and node.zone is not null then local_due.due_at
        else {{ dialect.plus_seconds("moving.since_at", "node.seconds") }}
    end as due_at
    {% else %}
    {{ dialect.plus_seconds("moving.since_at", "node.seconds") }} as due_at
    {% endif %}
from moving
left join program_node as node on moving.n = node.n
{% if has_local_waits %}
left join (
    {% include "journeys/local_dues.sql" %}
) as local_due on moving.r = local_due.r
{% endif %}
