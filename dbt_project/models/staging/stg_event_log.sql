{{ config(materialized='incremental', on_schema_change='fail', **log_config()) }}

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

-- few ids come twice: only their rows are put in order, which is most of the cost
repeated as (
    select
        source,
        event_id
    from arrived
    group by source, event_id
    having count(*) > 1
),

-- the one known first, of those that were loaded together the one received first: a repeat makes no event late;
-- the rest of the order only makes it the same one every time
ranked as (
    select
        arrived.*,
        row_number() over (
            partition by arrived.source, arrived.event_id
            order by
                arrived.known_at, arrived.received_at nulls last, arrived.batch_id, arrived.occurred_at, arrived.name,
                arrived.properties nulls last
        ) as known_order
    from arrived
    inner join repeated on arrived.source = repeated.source and arrived.event_id = repeated.event_id
),

first_known as (
    select {{ event_columns() | join(', ') }}
    from arrived
    where
        not exists (
            select 1
            from repeated
            where repeated.source = arrived.source and repeated.event_id = arrived.event_id
        )

    union all

    select {{ event_columns() | join(', ') }}
    from ranked
    where known_order = 1
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
from first_known
{% if is_incremental() %}
where
    not exists (
        select 1
        from {{ this }} as event_log
        where event_log.source = first_known.source and event_log.event_id = first_known.event_id
    )
{% endif %}
