{# How an identifier is written so that equal ones are equal; null for what stands for nobody: blocked values, and
   values of nothing but zeros and dashes. Needs a CTE `blocked` in scope. #}

{% macro identifier(column) -%}
    case
        when replace(replace({{ trimmed(column) }}, '0', ''), '-', '') = '' then null
        when {{ normalized(column) }} in (select value from blocked) then null
        else {{ trimmed(column) }}
    end
{%- endmacro %}

{% macro email_identifier(column) -%}
    case
        when {{ trimmed(column) }} not like '%_@_%' then null
        when {{ normalized(column) }} in (select value from blocked) then null
        else {{ normalized(column) }}
    end
{%- endmacro %}

{# The identifier types, strongest first: on a merge the profile with the strongest one survives. #}
{% macro identifier_types() -%}
    {{ return(['user_id', 'crm_id', 'email', 'phone', 'anonymous_id', 'profile_id']) }}
{%- endmacro %}

{# The country of a record, as two letters, or empty. #}
{% macro phone_country(properties) -%}
    coalesce(upper({{ json_text(properties, '$.country') }}), '')
{%- endmacro %}
