select
    file,
    sha256,
    bytes,
    modified_at,
    copy_of,
    loaded_at
from tailrace.ingest_file
where source = {{ literal(source) }}
