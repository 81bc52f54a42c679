-- Whom a sync reaches today and with what, as a count and a digest; those without consent are not in it.
select
    count(*) as row_count,
    {{ dialect.digest(dialect.row_hash(columns)) }} as digest
from ({{ audience }}) as audience
where not audience._suppressed
