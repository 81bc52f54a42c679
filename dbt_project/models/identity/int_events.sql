with

events as (
    select * from {{ ref('int_event_identifiers') }}
),

profile_map as (
    select * from {{ source('tailrace', 'profile_map') }}
),

{% for type in identifier_types() %}
by_{{ type }} as (
    select
        identifier,
        profile_id
    from profile_map
    where identifier_type = '{{ type }}'
),

{% endfor %}
-- all identifiers of one event belong to one profile; the first that is known says which
matched as (
    select
        events.source,
        events.event_id,
        events.name,
        events.occurred_at,
        events.known_at,
        events.crm_id,
        events.email,
        events.phone,
        events.properties,
        coalesce(
            {% for type in identifier_types() %}
            by_{{ type }}.profile_id{{ ',' if not loop.last }}
            {% endfor %}
        ) as profile_id
    from events
    {% for type in identifier_types() %}
    left join by_{{ type }} on events.{{ type }} = by_{{ type }}.identifier
    {% endfor %}
)

select * from matched
where profile_id is not null
