{# How many of the counted rows had one of these outcomes. #}
{% macro counted(outcomes) -%}
    cast(coalesce(sum(case when outcome in ('{{ outcomes | join("', '") }}') then counted end), 0) as bigint)
{%- endmacro %}
