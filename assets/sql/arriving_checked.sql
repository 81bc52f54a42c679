-- Included: every arriving line with the reason why it is no record, where there is one.
objects as (
    select
        file_number,
        batch_id,
        file,
        line,
        text,
        original,
        {% if format == 'ndjson' %}
        case
            when reason is not null then reason
            when not {{ dialect.json_valid('text') }} then 'not valid JSON'
            when not {{ dialect.starts_with('text', '{') }} then 'valid JSON, but not an object'
        end as reason
        {% else %}
        reason
        {% endif %}
    from arriving
),
{% if expect %}

-- a line that is no record has no values: nothing below reads one that is not JSON
records as (
    select
        file_number,
        batch_id,
        file,
        line,
        text,
        original,
        reason,
        case when reason is null then text end as record
    from objects
),

checked as (
    select
        file_number,
        batch_id,
        file,
        line,
        text,
        original,
        case
            when reason is not null then reason
            {% for column, path, kind in expect %}
            {% set value = dialect.json_text('record', path) %}
            when {{ value }} is null then {{ literal(column ~ ' is missing') }}
            -- without the value: reasons are shown, and it may be personal
            when {{ dialect.try_cast(value, kind) }} is null then {{ literal(column ~ ' is not ' ~ kind) }}
            {% endfor %}
        end as reason
    from records
)
{% else %}

checked as (
    select * from objects
)
{% endif %}
