select
    source,
    max(loaded_at) as last_load,
    count(*) filter (where copy_of is null) as files,
    coalesce(sum(line_count - bad_count) filter (where copy_of is null), 0) as row_count,
    coalesce(sum(bad_count) filter (where copy_of is null), 0) as bad_lines
from ingest_file
group by source
