{# A text without spaces of any kind at its ends, and in small letters too: models/contacts.py is the same in Python. #}
{% macro trimmed(text) -%}{{ adapter.dispatch('trimmed', 'tailrace')(text) }}{%- endmacro %}
{% macro default__trimmed(text) -%}trim({{ text }}){%- endmacro %}
{% macro postgres__trimmed(text) -%}btrim({{ text }}, '{{ _spaces() }}'){%- endmacro %}
{% macro spark__trimmed(text) -%}trim(both '{{ _spaces() }}' from {{ text }}){%- endmacro %}

{% macro normalized(text) -%}{{ adapter.dispatch('normalized', 'tailrace')(text) }}{%- endmacro %}
{% macro default__normalized(text) -%}lower({{ trimmed(text) }}){%- endmacro %}
{% macro spark__normalized(text) -%}lower(translate({{ trimmed(text) }}, 'Σİ', 'σi')){%- endmacro %}

{% macro _spaces() -%}
    {{ "\u0020\u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u205f\u3000" }}
{%- endmacro %}

{% macro sha256(expression) -%}{{ adapter.dispatch('sha256', 'tailrace')(expression) }}{%- endmacro %}
{% macro default__sha256(expression) -%}sha256({{ expression }}){%- endmacro %}
{% macro postgres__sha256(expression) -%}encode(sha256(convert_to({{ expression }}, 'UTF8')), 'hex'){%- endmacro %}
{% macro spark__sha256(expression) -%}sha2({{ expression }}, 256){%- endmacro %}
