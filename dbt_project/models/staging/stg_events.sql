-- what had happened by as_of and had arrived by known_by; nothing after this filters on the clocks' bounds
with

events as (
    select {{ event_columns() | join(', ') }}
    from {{ ref('stg_event_log') }}

    {% for name in sources_by(in_place=true) %}
    union all

    select {{ event_columns() | join(', ') }}
    from (
        select
            staged.*,
            row_number() over (
                partition by event_id order by known_at, occurred_at, name, properties nulls last
            ) as known_order
        from ({{ staged(name) }}) as staged
    ) as ranked
    where known_order = 1
    {% endfor %}
)

select *
from events
where occurred_at <= {{ as_of() }} and known_at <= {{ known_by() }}
