select
    identifier_type,
    identifier,
    profile_id
from (
    select
        identifier_type,
        identifier,
        profile_id,
        row_number() over (partition by identifier_type, identifier order by number desc) as latest
    from tailrace.profile_id_history
) as ranked
where latest = 1
