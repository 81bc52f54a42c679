-- What became of profiles: who was merged into whom.
select
    identifier_type,
    identifier,
    profile_id,
    change,
    as_of,
    known_by,
    number
from {{ kept }}.profile_id_history
where identifier_type = 'profile_id'
