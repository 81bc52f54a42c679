-- Deliveries of journeys' messages as of the last tick or later: what left or may be leaving, and the plan as it was.
select
    case
        when closed.run_id is null then opened.row_count
        else closed.accepted + closed.rejected + closed.unknown + closed.pending
    end as messages,
    plan.document
from tailrace.delivery_opened as opened
left join tailrace.delivery_closed as closed on opened.run_id = closed.run_id
left join tailrace.plan as plan on opened.plan_id = plan.plan_id
where
    opened.sync like '%/message_outbox/%'
    and opened.as_of >= (select max(tick.as_of) from tailrace.journey_tick as tick)
