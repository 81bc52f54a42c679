{# The two clocks of a run and the zone of its days, read here and nowhere else. Staging filters on both; segments read as_of for their windows. #}

{% macro as_of() -%}
    {{ _moment('as_of') }}
{%- endmacro %}

{% macro known_by() -%}
    {{ _moment('known_by') }}
{%- endmacro %}

{# The start of the day that many days before the run's own day, in the project's time zone. #}
{% macro days_ago(days) -%}
    ({{ _moment('today') }} - interval '{{ days }}' day)
{%- endmacro %}

{# The day of a moment, in the project's time zone. #}
{% macro local_day(moment) -%}
    {{ adapter.dispatch('local_day', 'tailrace')(moment, var('zone', 'UTC')) }}
{%- endmacro %}

{% macro default__local_day(moment, zone) -%}
    cast({{ moment }} at time zone '{{ zone }}' as date)
{%- endmacro %}

{% macro spark__local_day(moment, zone) -%}
    cast(from_utc_timestamp({{ moment }}, '{{ zone }}') as date)
{%- endmacro %}

{% macro _moment(name) -%}
    {%- set moment = var(name, none) -%}
    {%- if moment is none and execute -%}
        {{ exceptions.raise_compiler_error(
            "this run has no '" ~ name ~ "': run it with `tailrace refresh` or `tailrace preview`, which pass the clocks"
        ) }}
    {%- endif -%}
    cast('{{ moment }}' as {{ timestamp_type() }})
{%- endmacro %}
