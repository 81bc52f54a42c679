{# The shape every staging model gives and the event log keeps. #}

{% macro event_columns() -%}
    {{ return({
        'event_id': text_type(), 'source': text_type(), 'name': text_type(),
        'occurred_at': timestamp_type(), 'received_at': timestamp_type(), 'known_at': timestamp_type(),
        'batch_id': text_type(),
        'anonymous_id': text_type(), 'user_id': text_type(), 'email': text_type(), 'phone': text_type(),
        'crm_id': text_type(), 'profile_id': text_type(),
        'properties': text_type(),
    }) }}
{%- endmacro %}

{# How rows are added to it. #}
{% macro log_config() -%}
    {{ return(adapter.dispatch('log_config', 'tailrace')()) }}
{%- endmacro %}

{% macro default__log_config() -%}
    {{ return({'incremental_strategy': 'append'}) }}
{%- endmacro %}

{# What a killed run wrote of a batch would count as all of it there: a batch is a partition, written whole. #}
{% macro spark__log_config() -%}
    {{ return({'incremental_strategy': 'insert_overwrite', 'partition_by': ['batch_id']}) }}
{%- endmacro %}

{# Whether a model's table or view is there. #}
{% macro is_made(relation) -%}
    {{ return(adapter.dispatch('is_made')(relation)) }}
{%- endmacro %}

{% macro default__is_made(relation) -%}
    {{ return(load_relation(relation) is not none) }}
{%- endmacro %}

{# What this run has made dbt keeps without a database's name, and looks for it with an empty one. #}
{% macro spark__is_made(relation) -%}
    {%- set found = run_query("show tables in " ~ relation.without_identifier() ~ " like '" ~ relation.identifier ~ "'") -%}
    {{ return(found.rows | length > 0) }}
{%- endmacro %}

{# A staging model's rows in that shape. A column that is missing stops the run with its name. #}
{% macro staged(name) -%}
    {%- set relation = ref('stg_' ~ name) -%}
    {%- set is_there = execute and is_made(relation) -%}
    {%- if is_there -%}
        {%- set have = adapter.get_columns_in_relation(relation) | map(attribute='name') | map('lower') | list -%}
        {%- set missing = event_columns().keys() | reject('in', have) | list -%}
        {%- if missing -%}
            {{ exceptions.raise_compiler_error(
                'stg_' ~ name ~ ' lacks ' ~ missing | join(', ')
                ~ '; a staging model gives exactly: ' ~ event_columns().keys() | join(', ')
            ) }}
        {%- endif -%}
    {%- endif -%}
    select
        {%- for column, type in event_columns().items() %}
        cast({{ column }} as {{ type }}) as {{ column }}{{ ',' if not loop.last }}
        {%- endfor %}
    {# a table in place that could never be reached yet; a run `aside` only compiles, and creates it elsewhere #}
    {%- if execute and not var('aside', false) and not is_there %}
    from (select {% for column in event_columns() %}null as {{ column }}{{ ', ' if not loop.last }}{% endfor %}) as nothing
    where false
    {%- else %}
    from {{ relation }}
    {%- endif %}
{%- endmacro %}

{# The batches of a source that the event log has not read yet, as a list of literals: a filter that reaches the scan. #}
{% macro unread_batches(name) -%}
    {%- set found = run_query(
        "select distinct batch_id from " ~ raw(name) ~ " as arrived where batch_id not in"
        ~ " (select batch_id from " ~ this ~ " where source = '" ~ name ~ "')"
    ) -%}
    {{ return(found.columns[0].values() | list) }}
{%- endmacro %}
