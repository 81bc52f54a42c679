-- Every journey: runs, those under way, messages that a vendor accepted, runs that reached the goal.
with

run_ends as (
    select
        run_id,
        max(case when ended is not null then 1 else 0 end) as is_over,
        max(case when ended = 'goal' then 1 else 0 end) as is_converted
    from {{ kept }}.journey_transition
    group by run_id
),

runs as (
    select
        run.journey,
        count(*) as entered,
        sum(1 - run_ends.is_over) as now,
        sum(run_ends.is_converted) as converted
    from {{ kept }}.journey_run as run
    inner join run_ends on run.run_id = run_ends.run_id
    group by run.journey
),

{% include "journeys/message_states.sql" %},

messages as (
    select
        journey,
        sum(is_sent) as sent
    from message_states
    group by journey
)

select
    runs.journey,
    runs.entered,
    runs.now,
    coalesce(messages.sent, 0) as sent,
    runs.converted
from runs
left join messages on runs.journey = messages.journey
