select
    sync,
    run_id,
    as_of,
    opened_at,
    closed_at,
    row_count as planned,
    accepted,
    rejected,
    unknown,
    stopped
from sync_runs
order by opened_at desc, run_id
limit {{ limit }}
