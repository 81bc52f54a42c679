select
    count(*) as row_count,
    {{ dialect.digest(dialect.row_hash(columns)) }} as digest
from {{ relation }}
