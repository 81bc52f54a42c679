-- How the rows of one run ended.
select
    coalesce(sum(case when _outcome = 'accepted' then 1 else 0 end), 0) as accepted,
    coalesce(sum(case when _outcome = 'rejected' then 1 else 0 end), 0) as rejected,
    coalesce(sum(case when _outcome = 'unknown' then 1 else 0 end), 0) as unknown,
    coalesce(sum(case when _outcome = 'pending' then 1 else 0 end), 0) as pending,
    coalesce(sum(case when _outcome = 'withdrawn' then 1 else 0 end), 0) as withdrawn
from {{ ledger }}
where _run_id = {{ literal(run_id) }}
