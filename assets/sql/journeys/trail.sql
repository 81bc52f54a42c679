-- Every transition of the known runs, by their numbers: read once, for their text is most of the work.
select
    known_run.r,
    transition.hop,
    transition.kind,
    transition.version,
    transition.node,
    transition.next_node,
    transition.ended,
    transition.logical_at,
    transition.since_at,
    transition.due_at
from tailrace.journey_transition as transition
inner join known_run on transition.run_id = known_run.run_id
where transition.logical_at >= {{ literal(since) }}
