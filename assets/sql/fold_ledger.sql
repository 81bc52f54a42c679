-- The receipts of one run with the rows they are about: what its ledger takes.
select
    {{ literal(run_id) }} as _run_id,
    receipts.row as _row,
    receipts.op as _op,
    planned._profile_id,
    {{ literal(plan_id) }} as _plan_id,
    receipts.outcome as _outcome,
    receipts.reason as _reason,
    receipts.provider_id as _provider_id,
    receipts.attempt as _attempt,
    {{ epoch }} as _epoch,
    receipts.seq as _seq,
    receipts.recorded_at as _recorded_at,
    {{ literal(as_of) }} as _as_of,
    {{ literal(dagster_run_id) }} as _dagster_run_id,
    {{ literal(config) }} as _config,
    {% for name in columns %}
    planned.{{ quote(name) }}{{ "," if not loop.last }}
    {% endfor %}
from {{ receipts }} as receipts
inner join {{ planned }} as planned on receipts.row = planned._row
where
    receipts.run_id = {{ literal(run_id) }}
    and planned._run_id = {{ literal(run_id) }}
    -- a row to be tried again is as if it had not been planned
    and receipts.outcome <> 'retry'
