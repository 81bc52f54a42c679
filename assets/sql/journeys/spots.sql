-- Where everybody is: of runs their last transition, of entrants that they wait. `lane`: what must be done one after
-- the other because it depends on each other; null for all who depend on nobody. `is_alone`: nobody else of this tick is
-- the same person in the same journey.
with

latest as (
    select
        r,
        max(hop) as hop,
        min(case when ended is not null then logical_at end) as ended_at,
        max(case when ended in ('goal', 'merged') then 1 else 0 end) = 1 as is_settled
    from trail
    group by r
),

placed as (
    select
        trail.r,
        version.pv,
        node.n,
        trail.logical_at as at_time,
        trail.since_at,
        trail.due_at,
        trail.hop,
        case when latest.ended_at is null then 'active' else 'over' end as state,
        latest.ended_at,
        latest.is_settled,
        known_run.entered_at,
        known_run.journey,
        known_run.person,
        false as lacks_key
    from latest
    inner join trail on latest.r = trail.r and latest.hop = trail.hop
    inner join known_run on latest.r = known_run.r
    left join program_version as version
        on known_run.journey = version.journey and trail.version = version.version
    left join program_node as node on version.pv = node.pv and trail.next_node = node.node

    union all

    select
        entrant.r,
        entrant.entry_pv as pv,
        cast(null as integer) as n,
        cast(null as {{ dialect.kind("timestamptz") }}) as at_time,
        cast(null as {{ dialect.kind("timestamptz") }}) as since_at,
        cast(null as {{ dialect.kind("timestamptz") }}) as due_at,
        -1 as hop,
        'waiting' as state,
        cast(null as {{ dialect.kind("timestamptz") }}) as ended_at,
        false as is_settled,
        entrant.entered_at,
        entrant.journey,
        entrant.person,
        version.entry_key is not null and entrant.entry_key is null as lacks_key
    from entrant
    inner join program_version as version on entrant.entry_pv = version.pv
),

groups as (
    select
        placed.journey,
        placed.person,
        case
            when
                {% if has_aliases %}
                placed.person in (select alias.root_id from alias)
                or
                {% endif %}
                (
                    max(case when placed.state = 'waiting' then 1 else 0 end) = 1
                    and (
                        min(placed.pv) < max(placed.pv)
                        or max(case when version.policy = 'after_exit' or version.gap is not null then 1 else 0 end) = 1
                    )
                )
                then min(placed.r)
        end as lane
    from placed
    left join program_version as version on placed.pv = version.pv
    group by placed.journey, placed.person
    having count(*) > 1
)

select
    placed.r,
    placed.pv,
    placed.n,
    placed.at_time,
    placed.since_at,
    placed.due_at,
    placed.hop,
    placed.state,
    placed.ended_at,
    placed.is_settled,
    placed.entered_at,
    placed.lacks_key,
    groups.journey is null as is_alone,
    groups.lane
from placed
left join groups on placed.journey = groups.journey and placed.person = groups.person
