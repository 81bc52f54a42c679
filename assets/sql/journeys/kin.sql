-- Every profile that is, was or became one of these people; some more than once.
select person as profile_id
from {{ people }}
{% if has_aliases %}

union all

select unit_id as profile_id
from {{ people }}
where unit_id <> person

union all

select alias.profile_id
from alias
where
    alias.to_at = {{ literal(forever) }}
    and alias.root_id in (select persons.person from {{ people }} as persons)
{% endif %}
