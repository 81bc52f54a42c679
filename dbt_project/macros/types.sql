{# The few things engines spell differently. What is not here is in the portable subset. #}

{% macro text_type() -%}{{ adapter.dispatch('text_type', 'tailrace')() }}{%- endmacro %}
{% macro default__text_type() -%}varchar{%- endmacro %}
{% macro spark__text_type() -%}string{%- endmacro %}

{% macro timestamp_type() -%}{{ adapter.dispatch('timestamp_type', 'tailrace')() }}{%- endmacro %}
{% macro default__timestamp_type() -%}timestamptz{%- endmacro %}
{% macro spark__timestamp_type() -%}timestamp_ltz{%- endmacro %}

{# Null where the value is not of that type; dbt.safe_cast is a plain cast in the adapters used here. #}
{% macro try_cast(expression, type) -%}{{ adapter.dispatch('try_cast', 'tailrace')(expression, type) }}{%- endmacro %}
{% macro default__try_cast(expression, type) -%}try_cast({{ expression }} as {{ type }}){%- endmacro %}
{% macro postgres__try_cast(expression, type) -%}
    {%- set kind = type | lower | replace('double precision', 'double') | replace(' ', '') -%}
    {%- set words = {'timestampwithtimezone': 'timestamptz', 'real': 'float', 'float4': 'float'} -%}
    {%- set kind = words.get(kind, kind) -%}
    {%- set bits = {'smallint': 15, 'int': 31, 'integer': 31, 'bigint': 63}.get(kind) -%}
    {%- set size = modules.re.findall('(?:decimal|numeric)[(]([0-9]+),([0-9]+)[)]', kind) -%}
    {%- set said = 'cast(' ~ expression ~ ' as text)' -%}
    {%- if bits -%}
        cast({{ _own() }}.try_whole({{ said }}, {{ -(2 ** bits) }}, {{ 2 ** bits - 1 }}) as {{ kind }})
    {%- elif size -%}
        cast({{ _own() }}.try_decimal({{ said }}, {{ size[0] | join(', ') }}) as {{ kind }})
    {%- elif kind in ('double', 'float', 'boolean', 'date', 'time', 'timestamp', 'timestamptz') -%}
        {{ _own() }}.try_{{ kind }}({{ said }})
    {%- elif modules.re.match('(varchar|text|char)[^[]*$', kind) -%}
        cast({{ expression }} as {{ type }})
    {%- else -%}
        {{ _own() }}.try_any({{ said }}, cast(null as {{ type }}))
    {%- endif -%}
{%- endmacro %}
{% macro spark__try_cast(expression, type) -%}
    {%- set kind = type | lower | replace('double precision', 'double') | replace(' ', '') -%}
    {%- set words = {
        'varchar': 'string',
        'text': 'string',
        'timestamp': 'timestamp_ntz',
        'timestamptz': 'timestamp',
        'timestampwithtimezone': 'timestamp',
        'timestamp_ltz': 'timestamp',
        'real': 'float',
    } -%}
    {%- set kind = words.get(kind, kind) -%}
    {%- set said = 'cast(' ~ expression ~ ' as string)' -%}
    {%- if kind in ('smallint', 'int', 'integer', 'bigint') -%}
        try_cast(try_cast({{ _own() }}.number_of({{ said }}) as decimal(38, 0)) as {{ kind }})
    {%- elif modules.re.match('(?:decimal|numeric)[(]', kind) -%}
        try_cast({{ _own() }}.number_of({{ said }}) as {{ kind }})
    {%- elif kind in ('double', 'float', 'boolean', 'date', 'timestamp_ntz', 'timestamp') -%}
        {{ _own() }}.try_{{ kind }}({{ said }})
    {%- elif kind == 'json' -%}
        case when {{ _own() }}.json_valid({{ said }}) then {{ said }} end
    {%- elif modules.re.match('(?:array|map|struct)<', kind) -%}
        cast(null as {{ kind }})
    {%- else -%}
        try_cast({{ said }} as {{ kind }})
    {%- endif -%}
{%- endmacro %}

{# The schema of the functions that PostgreSQL and Spark lack (warehouse/postgres_functions/, spark_functions/). #}
{% macro _own() -%}{{ var('own_schema', 'tailrace') }}{%- endmacro %}
