-- Runs whose wait was over, or given up, between the last tick and this one. Those that moved on since do no harm.
select transition.run_id
from tailrace.journey_transition as transition
inner join program_version as version
    on transition.journey = version.journey and transition.version = version.version
inner join program_node as node on version.pv = node.pv and transition.next_node = node.node
where
    transition.due_at > {{ literal(since) }}
    and transition.due_at <= {{ literal(clock.as_of) }}
    and case
        when node.kind = 'wait' then transition.due_at > version.last_as_of
        else
            (
                transition.due_at <= node.horizon
                and transition.due_at > least(version.last_as_of, node.last_horizon)
            )
            or (
                transition.due_at > node.horizon
                and {{ dialect.plus_seconds("transition.due_at", "version.max_stale") }} <= {{ literal(clock.as_of) }}
            )
    end
