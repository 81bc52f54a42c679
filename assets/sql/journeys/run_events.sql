-- The events that may end a wait, a run, or be its goal: those of the person from the entry on, where they match it. Of
-- those that let people in, at the same moment only the ones that come after the entry's own by their names.
{% set counts %}
event.occurred_at >= watched.entered_at
    {% if has_own %}
    and (
        event.occurred_at > watched.entered_at
        or event.name <> watched.own_event
        or 'event/' || event.source || '/' || event.event_id > watched.cause
    )
    {% endif %}
{% endset %}
-- `counts_at`: when the event was the run's: it had happened, and its profile was the same person.
with

watched as (
    select
        runner.r,
        runner.unit_id,
        runner.entered_at,
        {% if has_own %}
        runner.cause,
        coalesce(own.entry_event, '') as own_event,
        {% endif %}
        runner.properties,
        watch.pv,
        watch.event,
        watch.match
    from runner
    inner join runner_version on runner.r = runner_version.r
    inner join program_watch as watch on runner_version.pv = watch.pv
    {% if has_own %}
    inner join program_version as own on runner.journey = own.journey and runner.entry_version = own.version
    {% endif %}
),

paired as (
    select
        watched.*,
        event.occurred_at,
        event.occurred_at as counts_at,
        event.source,
        event.event_id,
        event.properties as event_properties
    from watched
    inner join kin_event as event on watched.unit_id = event.profile_id and watched.event = event.name
    where {{ counts }}
    {% if has_aliases %}

    union all

    select
        watched.*,
        event.occurred_at,
        greatest(event.occurred_at, together.from_at) as counts_at,
        event.source,
        event.event_id,
        event.properties as event_properties
    from watched
    inner join together on watched.unit_id = together.one
    inner join kin_event as event on together.other = event.profile_id and watched.event = event.name
    where {{ counts }}
    {% endif %}
)

select
    r,
    pv,
    event,
    match,
    occurred_at,
    counts_at,
    source,
    event_id
from paired
{% if matches %}
where
    match = ''
    or case match
        {% for name in matches %}
        when {{ literal(name) }}
            then {{ json_text("properties", "$." ~ name) }} = {{ json_text("event_properties", "$." ~ name) }}
        {% endfor %}
    end
{% endif %}
