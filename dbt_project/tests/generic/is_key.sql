{# Each value of the column stands once, and it always stands: what a sync needs of its key. #}
{% test is_key(model, column_name) %}

select {{ column_name }}
from {{ model }}
group by {{ column_name }}
having count(*) > 1 or {{ column_name }} is null

{% endtest %}
