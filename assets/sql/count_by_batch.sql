-- How many rows each visible batch has in a log.
select
    batch_id,
    count(*) as row_count
from {{ log }}
where batch_id in (select visible_batch.batch_id from tailrace.visible_batch as visible_batch)
group by batch_id
