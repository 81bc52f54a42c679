-- some members of one side who are not on the other
select
    members.profile_id{{ ',' if columns }}
{% for column in columns %}
    profiles.{{ quote(column) }}{{ ',' if not loop.last }}
{% endfor %}
from (
    select distinct profile_id
    from {{ members }}
    where
        profile_id is not null
{% if others %}
        and profile_id not in (select profile_id from {{ others }} where profile_id is not null)
{% endif %}
    order by profile_id
    limit {{ limit }}
) as members
left join {{ profiles }} as profiles on members.profile_id = profiles.profile_id
order by members.profile_id
