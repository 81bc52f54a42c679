{# Every model lives in the run's one schema: the live one, or a scratch schema for the past. #}
{% macro generate_schema_name(custom_schema_name, node) -%}
    {{ target.schema }}
{%- endmacro %}
