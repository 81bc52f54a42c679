-- The syncs whose last run was refused, could not start or stopped early; who went well since is not among them.
with

ended as (
    select
        opened.sync,
        'stopped' as how,
        closed.stopped as reason,
        closed.closed_at as ended_at
    from tailrace.delivery_closed as closed
    inner join tailrace.delivery_opened as opened on closed.run_id = opened.run_id

    union all

    select
        sync,
        how,
        reason,
        ended_at
    from tailrace.unopened
),

ranked as (
    select
        *,
        row_number() over (partition by sync order by ended_at desc) as latest
    from ended
)

select
    sync,
    how,
    reason,
    ended_at
from ranked
where latest = 1 and reason is not null
