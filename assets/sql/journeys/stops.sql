-- Per run, from which moment on nothing of it is to be sent that comes after a hop, and why: it was left, or what a wait
-- that timed out waited for had come in time, as is known only now.
with

ends as (
    select
        transition.run_id,
        transition.logical_at,
        transition.ended
    from tailrace.journey_transition as transition
    where transition.ended in ({{ withdrawing }}) and transition.run_id in (select run_id from {{ runs }})
    {% if has_left %}

    union all

    select
        runner.run_id,
        moved.move_at as logical_at,
        moved.ended
    from moved
    inner join runner on moved.r = runner.r
    where moved.ended in ({{ withdrawing }})
    {% endif %}
)

select
    run_id,
    logical_at as stopped_at,
    ended as reason,
    -1 as after_hop
from ends
{% if has_late %}

union all

select
    run_id,
    stopped_at,
    reason,
    after_hop
from late_stop
{% endif %}

union all

select
    kept.run_id,
    kept.stopped_at,
    kept.reason,
    kept.after_hop
from tailrace.journey_late as kept
where kept.run_id in (select run_id from {{ runs }})
