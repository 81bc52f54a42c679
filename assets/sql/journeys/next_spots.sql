-- Where everybody is after the round. Who depends on nobody and did not move cannot any more, nor can who waits beyond
-- the tick for nothing that is known; in a lane all stay.
select
    arrived.r,
    arrived.pv,
    arrived.n,
    arrived.move_at as at_time,
    arrived.since_at,
    arrived.due_at,
    arrived.hop,
    case when arrived.ended is null then 'active' else 'over' end as state,
    coalesce(arrived.ended_at, case when arrived.ended is not null then arrived.move_at end) as ended_at,
    coalesce(arrived.ended in ('goal', 'merged'), false) as is_settled,
    arrived.entered_at,
    false as lacks_key,
    false as is_alone,
    arrived.lane
from arrived
{% if has_events and not has_publications %}
left join (
    select distinct r
    from (
        select r
        from run_event

        union all

        select r
        from signal
    ) as told
) as eventful on arrived.r = eventful.r
{% endif %}
where
    arrived.lane is not null
    or (
        (arrived.ended is null or arrived.ended not in ('goal', 'merged'))
        {% if not has_publications %}
        and (
            coalesce(
                arrived.ended is null
                and (
                    arrived.node_kind not in ('wait', 'wait_for')
                    or arrived.due_at is null
                    or arrived.due_at <= {{ literal(clock.as_of) }}
                ),
                false
            )
            {% if has_events %}
            or eventful.r is not null
            {% endif %}
        )
        {% endif %}
    )

{% if is_first %}
union all

select
    r,
    pv,
    n,
    at_time,
    since_at,
    due_at,
    hop,
    state,
    ended_at,
    is_settled,
    entered_at,
    lacks_key,
    is_alone,
    lane
from spot
where lane is not null or state <> 'waiting'
{% elif has_lanes %}
union all

select
    spot.r,
    spot.pv,
    spot.n,
    spot.at_time,
    spot.since_at,
    spot.due_at,
    spot.hop,
    spot.state,
    spot.ended_at,
    spot.is_settled,
    spot.entered_at,
    spot.lacks_key,
    spot.is_alone,
    spot.lane
from spot
left join arrived on spot.r = arrived.r
left join lane_entry as refusing on spot.r = refusing.r and refusing.reason is not null
where spot.lane is not null and arrived.r is null and refusing.r is null
{% endif %}
