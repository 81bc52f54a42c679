{# The few things engines spell differently. What is not here is in the portable subset. #}

{% macro text_type() -%}{{ adapter.dispatch('text_type', 'tailrace')() }}{%- endmacro %}
{% macro default__text_type() -%}varchar{%- endmacro %}

{% macro timestamp_type() -%}{{ adapter.dispatch('timestamp_type', 'tailrace')() }}{%- endmacro %}
{% macro default__timestamp_type() -%}timestamptz{%- endmacro %}

{# Null where the value is not of that type; dbt.safe_cast is a plain cast in the adapters used here. #}
{% macro try_cast(expression, type) -%}{{ adapter.dispatch('try_cast', 'tailrace')(expression, type) }}{%- endmacro %}
{% macro default__try_cast(expression, type) -%}try_cast({{ expression }} as {{ type }}){%- endmacro %}

{# The value at a path of a JSON text, as text. #}
{% macro json_text(column, path) -%}{{ adapter.dispatch('json_text', 'tailrace')(column, path) }}{%- endmacro %}
{% macro duckdb__json_text(column, path) -%}json_extract_string({{ column }}, '{{ path }}'){%- endmacro %}

{# Both JSON objects as one; the second wins. #}
{% macro json_merge(first, second) -%}{{ adapter.dispatch('json_merge', 'tailrace')(first, second) }}{%- endmacro %}
{% macro duckdb__json_merge(first, second) -%}
    case
        when {{ first }} is null then {{ second }}
        when {{ second }} is null then {{ first }}
        else cast(json_merge_patch({{ first }}, {{ second }}) as varchar)
    end
{%- endmacro %}

{# A JSON object, as text, from column → expression. #}
{% macro json_object(columns) -%}{{ adapter.dispatch('json_object', 'tailrace')(columns) }}{%- endmacro %}
{% macro duckdb__json_object(columns) -%}
    cast(json_object({% for key, value in columns.items() %}'{{ key }}', {{ value }}{{ ', ' if not loop.last }}{% endfor %}) as varchar)
{%- endmacro %}

{% macro sha256(expression) -%}{{ adapter.dispatch('sha256', 'tailrace')(expression) }}{%- endmacro %}
{% macro default__sha256(expression) -%}sha256({{ expression }}){%- endmacro %}
