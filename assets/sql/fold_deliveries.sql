-- The receipts of one run as people read them: every operation and attempt.
select
    {{ literal(sync) }} as sync,
    {{ literal(destination) }} as destination,
    {{ literal(run_id) }} as run_id,
    {{ literal(plan_id) }} as plan_id,
    receipts.row as spool_row,
    receipts.op,
    {{ key_text }} as key,
    planned._profile_id as profile_id,
    receipts.outcome,
    receipts.reason,
    receipts.provider_id,
    receipts.attempt,
    {{ epoch }} as epoch,
    receipts.seq,
    receipts.recorded_at,
    {{ literal(as_of) }} as as_of,
    {{ literal(dagster_run_id) }} as dagster_run_id,
    case when receipts.sink = '' then {{ literal(own_sink) }} else receipts.sink end as sink
from {{ receipts }} as receipts
inner join {{ planned }} as planned on receipts.row = planned._row
where
    receipts.run_id = {{ literal(run_id) }}
    and planned._run_id = {{ literal(run_id) }}
