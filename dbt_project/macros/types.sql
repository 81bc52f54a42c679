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

{# The text at a path of a JSON text: `$.name`, `$."any name"`, `$.list[0]`; `$` is all of it. #}
{% macro json_text(column, path) -%}{{ adapter.dispatch('json_text', 'tailrace')(column, path) }}{%- endmacro %}
{% macro duckdb__json_text(column, path) -%}
    json_extract_string({{ column }}, '{{ path | replace("'", "''") }}')
{%- endmacro %}
{% macro postgres__json_text(column, path) -%}
    {%- set steps = [] -%}
    {%- do _json_steps(path, steps) -%}
    {%- if steps | length == 1 and not steps[0].startswith('[') -%}
        {{ _own() }}.json_text({{ column }}, '{{ steps[0] | replace("'", "''") }}')
    {%- else -%}
        {{ _own() }}.json_text({{ column }}, variadic cast(array[
            {%- for step in steps %}'{{ step | replace("'", "''") }}'{{ ', ' if not loop.last }}{% endfor -%}
        ] as text[]))
    {%- endif -%}
{%- endmacro %}
{% macro spark__json_text(column, path) -%}
    {%- set steps = [] -%}
    {%- set written = [] -%}
    {%- do _json_steps(path, steps) -%}
    {%- for step in steps -%}
        {%- if modules.re.fullmatch('\\[[0-9]+\\]', step) -%}
            {%- do written.append(step) -%}
        {%- elif modules.re.fullmatch("[^.*'?\\\\\\[\\]]+", step) -%}
            {%- do written.append('.' ~ step) -%}
        {%- elif modules.re.search("['?\\\\]", step) or modules.re.fullmatch('\\[-[0-9]+\\]', step) -%}
            {{ exceptions.raise_compiler_error('no path of names and places in lists that Spark has: ' ~ path) }}
        {%- else -%}
            {%- do written.append("[\\'" ~ step ~ "\\']") -%}
        {%- endif -%}
    {%- endfor -%}
    {%- set found = 'get_json_object(' ~ column ~ ", '$" ~ written | join ~ "')" -%}
    {{ found if steps else 'nullif(' ~ found ~ ", 'null')" }}
{%- endmacro %}

{# Adds the steps of a path to a list, as warehouse/json_paths.py: names, and places in lists as `[n]`. #}
{% macro _json_steps(path, steps) -%}
    {%- set step = '[.](?:"((?:[^"\\\\]|\\\\.)*)"|([^."*\\[]+))|(\\[-?[0-9]+\\])' -%}
    {%- if not modules.re.fullmatch('[$](?:' ~ step ~ ')*', path) -%}
        {{ exceptions.raise_compiler_error('no path of names and places in lists: ' ~ path) }}
    {%- endif -%}
    {%- for quoted, plain, place in modules.re.findall(step, path) -%}
        {%- do steps.append(place or plain or modules.re.sub('\\\\(.)', '\\1', quoted)) -%}
    {%- endfor -%}
{%- endmacro %}

{# Both JSON objects as one; the second wins. #}
{% macro json_merge(first, second) -%}{{ adapter.dispatch('json_merge', 'tailrace')(first, second) }}{%- endmacro %}
{% macro duckdb__json_merge(first, second) -%}
    case
        when {{ first }} is null then {{ second }}
        when {{ second }} is null then {{ first }}
        else cast(json_merge_patch({{ first }}, {{ second }}) as varchar)
    end
{%- endmacro %}
{% macro postgres__json_merge(first, second) -%}{{ _own() }}.json_merge({{ first }}, {{ second }}){%- endmacro %}
{% macro spark__json_merge(first, second) -%}{{ _own() }}.json_merge({{ first }}, {{ second }}){%- endmacro %}

{# A JSON object, as text, from column → expression. #}
{% macro json_object(columns) -%}{{ adapter.dispatch('json_object', 'tailrace')(columns) }}{%- endmacro %}
{% macro duckdb__json_object(columns) -%}
    cast(json_object({% for key, value in columns.items() %}'{{ key }}', {{ value }}{{ ', ' if not loop.last }}{% endfor %}) as varchar)
{%- endmacro %}
{% macro postgres__json_object(columns) -%}
    ({% for key, value in columns.items() %}'{{ '{' if loop.first else ',' }}"{{ key }}":' || {{ _own() }}.json_of({{ value }}) || {% endfor %}'}')
{%- endmacro %}
{% macro spark__json_object(columns) -%}
    ({% for key, value in columns.items() -%}
        '{{ '{' if loop.first else ',' }}"{{ key }}":'
        || {{ _own() }}.json_of(typeof({{ value }}), cast({{ value }} as string), to_json(array({{ value }}))) ||
    {% endfor %}'}')
{%- endmacro %}

{% macro sha256(expression) -%}{{ adapter.dispatch('sha256', 'tailrace')(expression) }}{%- endmacro %}
{% macro default__sha256(expression) -%}sha256({{ expression }}){%- endmacro %}
{% macro postgres__sha256(expression) -%}encode(sha256(convert_to({{ expression }}, 'UTF8')), 'hex'){%- endmacro %}
{% macro spark__sha256(expression) -%}sha2({{ expression }}, 256){%- endmacro %}
