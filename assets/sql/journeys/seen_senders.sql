-- which source sent events of which name
select distinct
    name,
    source
from events
where name is not null
