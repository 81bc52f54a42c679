-- Every step that anybody came to, of one journey or all: people who came, are there, went on; their messages; who reached the goal after it.
-- The mart journey_funnel counts the same.
with

moves as (
    select
        move.*,
        row_number() over (
            partition by move.run_id
            order by move.hop desc
        ) as place,
        max(case when move.ended = 'goal' then 1 else 0 end) over (partition by move.run_id) as is_converted
    from {{ kept }}.journey_transition as move
    {% if journey %}
    where move.journey = {{ literal(journey) }}
    {% endif %}
),

visits as (
    select
        journey,
        version,
        next_node as node,
        run_id,
        max(is_converted) as is_converted,
        max(case when place = 1 and ended is null then 1 else 0 end) as is_there
    from moves
    where next_node is not null
    group by journey, version, next_node, run_id
),

visited as (
    select
        journey,
        version,
        node,
        count(*) as entered,
        sum(is_there) as waiting,
        sum(1 - is_there) as gone,
        sum(is_converted) as converted
    from visits
    group by journey, version, node
),

{% include "journeys/message_states.sql" %},

messages as (
    select
        journey,
        version,
        node,
        sum(is_sent) as sent,
        sum(is_refused) as refused
    from message_states
    group by journey, version, node
)

select
    visited.journey,
    visited.version,
    visited.node,
    visited.entered,
    visited.waiting,
    visited.gone as {{ quote("left") }},
    coalesce(messages.sent, 0) as sent,
    coalesce(messages.refused, 0) as refused,
    visited.converted
from visited
left join messages
    on visited.journey = messages.journey and visited.version = messages.version and visited.node = messages.node
