-- Every move of these people's runs, with what the journey's last tick had seen.
select
    move.logical_at as at,
    'step' as kind,
    move.journey,
    move.run_id,
    move.node,
    move.kind as decision,
    move.ended as reason,
    move.run_id || '/' || cast(move.hop as {{ dialect.text }}) as ref,
    move.detail,
    move.hop,
    move.version,
    move.next_node,
    move.due_at,
    max(move.hop) over (partition by move.run_id) as last_hop,
    max(case when move.ended is not null then 1 else 0 end) over (partition by move.run_id) as is_over
from {{ kept }}.journey_transition as move
inner join {{ kept }}.journey_run as run on move.run_id = run.run_id
where run.unit_id in ({{ profiles }})
