-- Until when each source is complete, as far as was known.
select
    source,
    max(through) as through
from tailrace.source_loaded
where known_at <= {{ literal(known_by) }}
group by source
