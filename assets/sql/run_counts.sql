-- How the rows of one run ended: of several attempts at a row the last counts.
with

ranked as (

    select
        _outcome,
        row_number() over (
            partition by _row
            order by _seq desc
        ) as place
    from {{ ledger }}
    where _run_id = {{ literal(run_id) }}

)

select
    coalesce(sum(case when _outcome = 'accepted' then 1 else 0 end), 0) as accepted,
    coalesce(sum(case when _outcome = 'rejected' then 1 else 0 end), 0) as rejected,
    coalesce(sum(case when _outcome = 'unknown' then 1 else 0 end), 0) as unknown,
    coalesce(sum(case when _outcome = 'pending' then 1 else 0 end), 0) as pending,
    coalesce(sum(case when _outcome = 'withdrawn' then 1 else 0 end), 0) as withdrawn
from ranked
where place = 1
