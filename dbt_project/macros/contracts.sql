{# The types of a contract are DuckDB's words; Spark has others for a few. #}
{% macro spark__get_empty_schema_sql(columns) -%}
    {%- set words = {'varchar': 'string', 'timestamptz': 'timestamp', 'timestamp': 'timestamp_ntz'} -%}
    {%- set spelled = {} -%}
    {%- for name, column in columns.items() -%}
        {%- do spelled.update({name: dict(column, data_type=words.get(column.data_type, column.data_type))}) -%}
    {%- endfor -%}
    {{ dbt.default__get_empty_schema_sql(spelled) }}
{%- endmacro %}
