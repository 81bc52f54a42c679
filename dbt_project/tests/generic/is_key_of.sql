{# The columns together stand once, and each always stands: the grain of a model that no one column is. #}
{% test is_key_of(model, columns) %}

select {{ columns | join(', ') }}
from {{ model }}
group by {{ columns | join(', ') }}
having count(*) > 1{% for column in columns %} or {{ column }} is null{% endfor %}

{% endtest %}
