-- From when until when anything is known that could make somebody enter, and how much of that is in the range.
with

known as (
    {% if segment %}
    select as_of as known_at
    from {{ past.kept }}.segment_evaluation
    where segment = {{ literal(segment) }}
    {% if has_days %}

    union all

    select distinct cast(day as {{ dialect.kind("timestamptz") }}) as known_at
    from {{ past.kept }}.segment_days
    where segment = {{ literal(segment) }}
    {% endif %}
    {% else %}
    select occurred_at as known_at
    from {{ past.events }}
    {% endif %}
)

select
    min(known_at) as first,
    max(known_at) as last,
    count(case when known_at between {{ literal(past.start) }} and {{ literal(past.end) }} then 1 end) as n
from known
