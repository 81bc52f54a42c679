select
    runner.journey,
    runner.entry_version as version,
    runner.unit_id,
    runner.cause,
    runner.entry_key,
    runner.entered_at as logical_at,
    refused.reason
from refused
inner join runner on refused.r = runner.r
