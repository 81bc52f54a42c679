{{ config(materialized='incremental', incremental_strategy='append', on_schema_change='fail') }}

with

arrived as (
    {% for name in sources_by(in_place=false) %}
    {{ 'union all' if not loop.first }}
    {{ staged(name) }}
    {% if is_incremental() %}
    {% set unread = unread_batches(name) %}
    where batch_id in ({{ "'" ~ unread | join("', '") ~ "'" if unread else 'null' }})
    {% endif %}
    {% else %}
    select
        {% for column, type in event_columns().items() %}
        cast(null as {{ type }}) as {{ column }}{{ ',' if not loop.last }}
        {% endfor %}
    where false
    {% endfor %}
),

-- of the events with one id, the one known first; the rest of the order only makes it the same one every time
ranked as (
    select
        *,
        row_number() over (
            partition by source, event_id
            order by known_at, batch_id, occurred_at, received_at nulls last, name, properties nulls last
        ) as known_order
    from arrived
)

select
    {% for column in event_columns() %}
    {% if column == 'occurred_at' %}
    -- without a time of its own, an event happened when we heard of it
    coalesce(occurred_at, received_at, known_at) as occurred_at{{ ',' if not loop.last }}
    {% else %}
    {{ column }}{{ ',' if not loop.last }}
    {% endif %}
    {% endfor %}
from ranked
where
    known_order = 1
    {% if is_incremental() %}
    and not exists (
        select 1
        from {{ this }} as event_log
        where event_log.source = ranked.source and event_log.event_id = ranked.event_id
    )
    {% endif %}
