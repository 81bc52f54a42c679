select
    runner.run_id,
    runner.journey,
    version.version,
    moved.hop,
    moved.kind,
    from_node.node,
    to_node.node as next_node,
    moved.ended,
    moved.detail,
    moved.move_at as logical_at,
    moved.since_at,
    moved.due_at
from moved
inner join runner on moved.r = runner.r
inner join program_version as version on moved.pv = version.pv
left join program_node as from_node on moved.from_n = from_node.n
left join program_node as to_node on moved.n = to_node.n
