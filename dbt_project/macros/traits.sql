{# The place of a row's source in a trait's order of precedence; sources that are not named come last, as equals. #}
{% macro source_rank(precedence) -%}
    case source
        {%- for name in precedence %} when '{{ name }}' then {{ loop.index }}{% endfor %}
        else {{ precedence | length + 1 }}
    end
{%- endmacro %}

{# What an event says of a trait: its own column for contact points, its properties for the rest. #}
{% macro trait_value(trait) -%}
    {%- if trait in ('email', 'phone') -%}
        {{ trait }}
    {%- else -%}
        nullif({{ trimmed(json_text('properties', '$.' ~ trait)) }}, '')
    {%- endif -%}
{%- endmacro %}

{# The events whose properties say something about the person, as a list of literals. #}
{% macro trait_events() -%}
    '{{ var('trait_events') | join("', '") }}'
{%- endmacro %}

{# One column a trait, of rows with `trait` and `said`. #}
{% macro trait_columns(precedence) -%}
    {%- for trait in precedence %}
    max(case when trait = '{{ trait }}' then said end) as {{ trait }}{{ ',' if not loop.last }}
    {%- endfor %}
{%- endmacro %}
