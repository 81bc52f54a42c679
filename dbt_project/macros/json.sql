{# JSON, which each engine reads and writes otherwise. #}

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
