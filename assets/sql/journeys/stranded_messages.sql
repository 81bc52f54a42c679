-- Messages that may still go, by what they would leave by: no vendor has them.
with

{% include "journeys/message_states.sql" %}

select
    journey,
    sink,
    purpose,
    count(*) as messages
from message_states
where is_refused = 0 and not is_answered
group by journey, sink, purpose
order by journey, sink, purpose
