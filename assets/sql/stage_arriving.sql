-- One slice of what landed: every line that is not blank, with the reason why it is no record where there is one.
create or replace temp table staged as

with

lines as (
    select
        file_number,
        line,
        reason,
        original,
        {% if format == 'ndjson' %}
        {{ dialect.trim('text', ' \t\r\n') }} as text
        {% elif format == 'lines' %}
        {{ dialect.trim_end('text', '\r\n') }} as text
        {% else %}
        text
        {% endif %}
    from arriving
),

objects as (
    select
        file_number,
        line,
        text,
        original,
        {% if format == 'ndjson' %}
        case
            when reason is not null then reason
            when not {{ dialect.json_valid('text') }} then 'not valid JSON'
            when substring(text, 1, 1) <> '{' then 'valid JSON, but not an object'
        end as reason
        {% else %}
        reason
        {% endif %}
    from lines
    where {{ dialect.trim('text', ' \t\r\n') }} <> ''
)
{% if expect %}
,

-- a line that is no record has no values: nothing below reads one that is not JSON
records as (
    select
        objects.*,
        case when reason is null then text end as record
    from objects
)

select
    file_number,
    line,
    text,
    original,
    case
        when reason is not null then reason
        {% for column, path, kind in expect %}
        {% set value = dialect.json_text('record', path) %}
        when {{ value }} is null then {{ literal(column ~ ' is missing') }}
        when {{ dialect.try_cast(value, kind) }} is null
            then {{ literal(column ~ ' is not ' ~ kind ~ ': ') }} || {{ value }}
        {% endfor %}
    end as reason
from records
{% else %}

select * from objects
{% endif %}
