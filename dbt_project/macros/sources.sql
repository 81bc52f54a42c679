{# What came in, as staging reads it. The variable `sources` is written by the run from sources.yml:
   name → {relation, in_place, known_at}, and of what a package makes {model, made}. #}

{% macro sources() -%}
    {{ return(var('sources', {}).keys() | sort) }}
{%- endmacro %}

{# The sources whose files are copied into raw tables (`in_place=false`), or that are read where they are. #}
{% macro sources_by(in_place) -%}
    {%- set found = [] -%}
    {%- for name in sources() if var('sources')[name].in_place == in_place -%}
        {%- do found.append(name) -%}
    {%- endfor -%}
    {{ return(found) }}
{%- endmacro %}

{# The rows of a source that had arrived by `known_by`: file, line, record, loaded_at, batch_id (or a table's columns). #}
{% macro raw(name) -%}
    {%- set source = var('sources', {}).get(name) -%}
    {%- if source is none and execute -%}
        {{ exceptions.raise_compiler_error(
            "no source '" ~ name ~ "' in sources.yml; there are: " ~ sources() | join(', ')
        ) }}
    {%- endif -%}
    {#- a staging model of a source that is not declared is left alone: nothing selects it -#}
    {%- set source = source or {'relation': 'raw.' ~ name, 'in_place': false} -%}
    {%- if source.in_place %}{{ attach_database(name) }}{% endif -%}
    {#- only so that what the model says is part of what it means here -#}
    {%- if source.model %}{% do ref(source.model.split('.')[0], source.model.split('.')[1]) %}{% endif -%}
    {%- set known_at = source.known_at if source.in_place else 'loaded_at' -%}
    (select * from {{ source.relation }}{% if known_at %} where {{ known_at }} <= {{ known_by() }}{% endif %})
{%- endmacro %}

{# The same with the named top-level keys of each record as text columns, as `records`: `columns` maps column → key. #}
{% macro records(name, columns) -%}
    {{ adapter.dispatch('records', 'tailrace')(name, columns) }}
{%- endmacro %}

{% macro default__records(name, columns) -%}
    (
        select
            batch_id, line, loaded_at, record
            {%- for column, key in columns.items() %},
            {{ json_text('record', '$."' ~ key ~ '"') }} as {{ column }}
            {%- endfor %}
        from {{ raw(name) }} as raw_{{ name }}
    ) as records
{%- endmacro %}

{# One pass over each record; a path at a time would read it again for every column. #}
{% macro duckdb__records(name, columns) -%}
    {%- set keys = {} -%}
    {%- for key in columns.values() %}{% do keys.update({key: 'VARCHAR'}) %}{% endfor -%}
    (
        select
            batch_id, line, loaded_at, record
            {%- for column, key in columns.items() %},
            parsed."{{ key }}" as {{ column }}
            {%- endfor %}
        from (
            select batch_id, line, loaded_at, record, json_transform(record, '{{ tojson(keys) }}') as parsed
            from {{ raw(name) }} as raw_{{ name }}
        ) as parsed_{{ name }}
    ) as records
{%- endmacro %}

{# What makes a record without an id of its own one event: the file it came in and its line there. #}
{% macro line_id() -%}
    {{ sha256("concat_ws('/', batch_id, cast(line as " ~ text_type() ~ "))") }}
{%- endmacro %}

{# Attaches the database a source is read from, on the connection that is about to read it: dbt opens the file anew for
   the models of a run. `attach` is written by the run: [{source, path, alias}]. #}
{% macro attach_database(name) -%}
    {%- for database in var('attach', []) if execute and database.source == name -%}
        {%- call statement('attach', fetch_result=False) -%}
            attach if not exists '{{ database.path | replace("'", "''") }}' as "{{ database.alias }}" (read_only)
        {%- endcall -%}
    {%- endfor -%}
{%- endmacro %}
