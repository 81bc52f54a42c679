-- Batches that have rows in a log and never became visible.
select distinct appended.batch_id
from {{ log }} as appended
left join tailrace.batch as committed
    on appended.batch_id = committed.batch_id
where committed.batch_id is null
order by appended.batch_id
