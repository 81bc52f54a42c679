-- how many events came each day, and how many of them were late
with

events as (
    select
        source,
        coalesce(received_at, known_at) as came_at,
        occurred_at
    from {{ ref('stg_events') }}
)

select
    source,
    {{ local_day('came_at') }} as day,
    count(*) as events,
    count(case when came_at > occurred_at + interval '1' day then 1 end) as late
from events
group by source, {{ local_day('came_at') }}
