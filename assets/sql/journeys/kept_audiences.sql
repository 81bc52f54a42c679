-- Who is held out enters and leaves no audience.
select
    node.audience,
    runner.unit_id as profile_id,
    node.op,
    runner.run_id,
    moved.hop,
    moved.move_at as logical_at
from moved
inner join runner on moved.r = runner.r
inner join program_node as node on moved.from_n = node.n
left join held on moved.r = held.r
where moved.kind = 'synced' and coalesce(held.arm, runner.arm) = 'treated'
