select
    as_of as at,
    'merged' as kind,
    cast(null as {{ dialect.text }}) as journey,
    cast(null as {{ dialect.text }}) as run_id,
    cast(null as {{ dialect.text }}) as node,
    'merged' as decision,
    cast(null as {{ dialect.text }}) as reason,
    identifier as ref,
    profile_id as detail
from {{ kept }}.profile_id_history
where identifier_type = 'profile_id' and change = 'merged' and identifier in ({{ profiles }})
