-- events by source, and those that came more than a day after they happened, as the mart event_arrivals counts them
select
    source,
    count(*) as events,
    count(case when coalesce(received_at, known_at) > occurred_at + interval '1' day then 1 end) as late
from {{ relation }}
group by source
