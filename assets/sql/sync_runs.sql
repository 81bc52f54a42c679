-- One row a run that opened a delivery; counts are null while it is open.
select
    opened.run_id,
    opened.sync,
    opened.destination,
    opened.plan_id,
    opened.epoch,
    opened.row_count,
    opened.as_of,
    opened.opened_at,
    closed.closed_at,
    closed.accepted,
    closed.rejected,
    closed.unknown,
    closed.pending,
    closed.withdrawn,
    closed.stopped,
    opened.dagster_run_id
from tailrace.delivery_opened as opened
left join tailrace.delivery_closed as closed on opened.run_id = closed.run_id
