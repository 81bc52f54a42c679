-- who is in each segment on one day
{% for segment, relation in members.items() %}
{{ 'union all' if not loop.first }}
select distinct
    {{ literal(day) }} as day,
    {{ literal(segment) }} as segment,
    profile_id
from {{ relation }}
where profile_id is not null
{% endfor %}
