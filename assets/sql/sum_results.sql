-- Counts of `message_results` in the published copy, one row a combination of the columns asked for.
select
    {% for name in by %}
    {{ name }},
    {% endfor %}
    {% for name in counts %}
    cast(sum({{ name }}) as bigint) as {{ name }}{{ "," if not loop.last }}
    {% endfor %}
from main.message_results
where
    true
    {% if journey %}
    and journey = {{ literal(journey) }}
    {% endif %}
    {% if days %}
    and day > (select max(day) from main.message_results) - {{ days }}
    {% endif %}
group by {{ by | join(", ") }}
order by {{ by | join(", ") }}
