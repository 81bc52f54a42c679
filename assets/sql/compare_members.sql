-- how many people a segment has now and had before, and how many of them come and go
with

members as (
    select distinct profile_id
    from {{ now }}
    where profile_id is not null
),

others as (
{% if before %}
    select distinct profile_id
    from {{ before }}
{% else %}
    select null as profile_id
    where false
{% endif %}
),

compared as (
    select
        members.profile_id is not null as is_member,
        others.profile_id is not null as was_member
    from members
    full outer join others on members.profile_id = others.profile_id
)

select
    count(*) filter (where is_member) as size,
    {{ "count(*) filter (where was_member)" if before else "null" }} as before,
    count(*) filter (where is_member and not was_member) as enters,
    count(*) filter (where was_member and not is_member) as leaves
from compared
