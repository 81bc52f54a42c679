-- Receipts that a lost journal cannot give: every planned row that its ledger does not know may have left.
select
    {{ literal(run_id) }} as run_id,
    planned._row as row,
    planned._op as op,
    'unknown' as outcome,
    {{ literal(reason) }} as reason,
    '' as provider_id,
    cast(1 as bigint) as attempt,
    planned._row + 1 as seq,
    {{ literal(recorded_at) }} as recorded_at
from {{ planned }} as planned
left join (
    select _row
    from {{ ledger }}
    where _run_id = {{ literal(run_id) }}
) as known
    on planned._row = known._row
where
    planned._run_id = {{ literal(run_id) }}
    and known._row is null
