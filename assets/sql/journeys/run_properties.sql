-- The entry events' properties that branches read. One row a run and property it has.
{% for name in properties %}
{{ "union all" if not loop.first }}
select
    r,
    {{ literal(name) }} as name,
    {{ json_text("properties", "$." ~ name) }} as value,
    {{ dialect.try_cast(json_text("properties", "$." ~ name), "double") }} as number
from runner
where {{ json_text("properties", "$." ~ name) }} is not null
{% endfor %}
