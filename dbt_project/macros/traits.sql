{# The place of a row's source in a trait's order of precedence; sources that are not named come last, as equals. #}
{% macro source_rank(precedence) -%}
    case source
        {%- for name in precedence %} when '{{ name }}' then {{ loop.index }}{% endfor %}
        else {{ precedence | length + 1 }}
    end
{%- endmacro %}
