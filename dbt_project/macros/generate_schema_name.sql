{# Every model lives in the run's one schema: the live one, or a scratch schema for the past. What a package makes is
   where its own runs made it, as far as a source names it. #}
{% macro generate_schema_name(custom_schema_name, node) -%}
    {%- if node.package_name == 'tailrace' -%}
        {{ target.schema }}
    {%- else -%}
        {{ made_elsewhere(node).schema or [node.package_name, custom_schema_name] | select | join('_') }}
    {%- endif -%}
{%- endmacro %}

{% macro generate_alias_name(custom_alias_name, node) -%}
    {{ made_elsewhere(node).table or dbt.default__generate_alias_name(custom_alias_name, node) }}
{%- endmacro %}

{% macro generate_database_name(custom_database_name, node) -%}
    {{ made_elsewhere(node).database or target.database }}
{%- endmacro %}

{# Where the source that names this model of a package says it is: {database, schema, table}; nothing for all others. #}
{% macro made_elsewhere(node) -%}
    {%- for source in var('sources', {}).values() if source.model == node.package_name ~ '.' ~ node.name -%}
        {{ return(source.made) }}
    {%- endfor -%}
    {{ return({}) }}
{%- endmacro %}
