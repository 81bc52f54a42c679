-- Messages of one run whose person has left the segment since.
select planned._send_key as send_key
from {{ planned }} as planned
where
    planned._run_id = {{ literal(run_id) }}
    and planned._send_key is not null
    and planned.entry_id not in (
        select owned.entry_id
        from (
            {% include "owned_entries.sql" %}

        ) as owned
    )
