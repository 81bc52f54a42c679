-- who holds each identifier at a moment, of every profile that holds an observed one (or of all), and since when that
-- profile exists
with

history as (
    select * from {{ history }}
{% if known_by %}
    where known_by <= {{ literal(known_by) }}
{% endif %}
),

ranked as (
    select
        identifier_type,
        identifier,
        profile_id,
        row_number() over (partition by identifier_type, identifier order by number desc) as latest
    from history
),

held as (
    select
        identifier_type,
        identifier,
        profile_id
    from ranked
    where latest = 1
),

born as (
    select
        identifier as profile_id,
        min(as_of) as minted_at
    from history
    where identifier_type = 'profile_id' and change = 'minted'
    group by identifier
){% if not everyone %},

touched as (
{% for type in types %}
    {{ 'union' if not loop.first }}
    select held.profile_id
    from held
    inner join observed on held.identifier = observed.{{ type }}
    where held.identifier_type = '{{ type }}'
{% endfor %}
)
{% endif %}

select
    held.identifier_type,
    held.identifier,
    held.profile_id,
    born.minted_at
from held
left join born on held.profile_id = born.profile_id
{% if not everyone %}
where held.profile_id in (select profile_id from touched)
{% endif %}
