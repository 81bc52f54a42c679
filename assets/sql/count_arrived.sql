-- how many batches of files had arrived
select count(*) as batches
from (
{% for relation in relations %}
    {{ 'union all' if not loop.first }}
    select distinct batch_id
    from {{ relation }}
    where loaded_at <= {{ literal(clock.known_by) }}
{% else %}
    select null as batch_id
    where false
{% endfor %}
) as arrived
