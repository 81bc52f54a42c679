-- who came to each step of a journey, who is there, and what came of it
with

moves as (
    select
        *,
        row_number() over (
            partition by run_id
            order by hop desc
        ) as place,
        max(case when ended = 'goal' then 1 else 0 end) over (partition by run_id) as is_converted
    from {{ source('kept', 'journey_transition') }}
),

-- a run that came to a step again counts once
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

decisions as (
    select
        *,
        row_number() over (
            partition by send_key
            order by round desc
        ) as place
    from {{ source('kept', 'message_outbox') }}
),

accepted as (
    select distinct key as send_key
    from {{ source('kept', 'deliveries') }}
    where sync like '%/message_outbox%' and outcome = 'accepted'
),

messages as (
    select
        decisions.journey,
        decisions.version,
        decisions.node,
        count(*) as sent
    from decisions
    inner join accepted on decisions.send_key = accepted.send_key
    where decisions.place = 1
    group by decisions.journey, decisions.version, decisions.node
)

select
    visits.journey,
    visits.version,
    visits.node,
    count(*) as entered,
    count(case when visits.is_there = 1 then 1 end) as waiting,
    count(case when visits.is_there = 0 then 1 end) as "left",
    coalesce(max(messages.sent), 0) as sent,
    count(case when visits.is_converted = 1 then 1 end) as converted
from visits
left join messages
    on
        visits.journey = messages.journey
        and visits.version = messages.version
        and visits.node = messages.node
group by visits.journey, visits.version, visits.node
