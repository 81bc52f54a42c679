-- How many rows of each kind a plan holds, and a digest of its operations that does not depend on their order.
select
    _kind,
    _op,
    _excused,
    count(*) as row_count,
    {{ dialect.digest(row_hash) }} as digest
from {{ rows }}
group by _kind, _op, _excused
