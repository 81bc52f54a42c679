{{ config(materialized='view') }}

{% set precedence = var('trait_precedence') %}

with

events as (
    select * from {{ ref('int_events') }}
),

described as (
    select * from events
    where name in ({{ trait_events() }})
),

said as (
    {% for trait in precedence %}
    {{ 'union all' if not loop.first }}
    select
        profile_id,
        '{{ trait }}' as trait,
        {{ trait_value(trait) }} as said,
        {{ source_rank(precedence[trait]) }} as source_rank,
        occurred_at,
        source,
        event_id
    from {{ 'events' if trait in ('email', 'phone') else 'described' }}
    {% endfor %}
),

-- the source that is believed first; within it, what was said last
ranked as (
    select
        profile_id,
        trait,
        said,
        row_number() over (
            partition by profile_id, trait
            order by source_rank asc, occurred_at desc, source asc, event_id asc
        ) as trait_order
    from said
    where said is not null
)

select
    profile_id,
    {{ trait_columns(precedence) }}
from ranked
where trait_order = 1
group by profile_id
