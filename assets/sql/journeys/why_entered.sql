select
    run.entered_at as at,
    'entered' as kind,
    run.journey,
    run.run_id,
    move.next_node as node,
    run.arm as decision,
    cast(null as {{ dialect.text }}) as reason,
    run.cause as ref,
    run.entry_key as detail
from {{ kept }}.journey_run as run
left join {{ kept }}.journey_transition as move on run.run_id = move.run_id and move.hop = 0
where run.unit_id in ({{ profiles }})
