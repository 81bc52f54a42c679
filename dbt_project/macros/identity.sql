{# A text without spaces of any kind at its ends, and in small letters too: models/contacts.py is the same in Python. #}
{% macro trimmed(text) -%}{{ adapter.dispatch('trimmed', 'tailrace')(text) }}{%- endmacro %}
{% macro default__trimmed(text) -%}trim({{ text }}){%- endmacro %}
{% macro postgres__trimmed(text) -%}btrim({{ text }}, '{{ _spaces() }}'){%- endmacro %}
{% macro spark__trimmed(text) -%}trim(both '{{ _spaces() }}' from {{ text }}){%- endmacro %}

{% macro normalized(text) -%}{{ adapter.dispatch('normalized', 'tailrace')(text) }}{%- endmacro %}
{% macro default__normalized(text) -%}lower({{ trimmed(text) }}){%- endmacro %}
{% macro spark__normalized(text) -%}lower(translate({{ trimmed(text) }}, 'Σİ', 'σi')){%- endmacro %}

{% macro _spaces() -%}
    {{ return("\u0020\u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u205f\u3000") }}
{%- endmacro %}

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
