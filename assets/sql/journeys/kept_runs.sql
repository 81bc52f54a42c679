select
    runner.run_id,
    runner.journey,
    runner.entry_version as version,
    runner.unit_id,
    runner.entered_at,
    runner.entry_key,
    runner.cause,
    held.arm,
    runner.properties,
    cast({{ number }} as bigint) as tick
from entrant as runner
inner join held on runner.r = held.r
