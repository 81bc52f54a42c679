-- What people held: their history, the first record of which counts for all that was before it; without one as of now.
{% if recorded_at %}
select
    history.profile_id,
    history.email,
    history.phone,
    history.push_token,
    history.time_zone,
    {{ dates }} as dates,
    case when history.as_of = {{ literal(recorded_at) }} then {{ literal(never) }} else history.as_of end as as_of,
    case when history.as_of = {{ literal(recorded_at) }} then {{ literal(never) }} else history.known_by end as known_by
from {{ kept }}.profile_history as history
left join {{ kept }}.profiles as person on history.profile_id = person.profile_id
{% else %}
select
    person.profile_id,
    person.email,
    person.phone,
    person.push_token,
    known_zone.name as time_zone,
    {{ dates }} as dates,
    {{ literal(never) }} as as_of,
    {{ literal(never) }} as known_by
from {{ kept }}.profiles as person
left join known_zone on person.time_zone = known_zone.name
{% endif %}
