-- Every profile that became one of these, and they themselves.
select identifier as profile_id
from {{ kept }}.profile_map
where identifier_type = 'profile_id' and profile_id in ({{ profiles }})
