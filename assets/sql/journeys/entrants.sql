-- Whoever may enter, by what made them: an event, a row of the segment's history, membership when it was published.
-- `r`: their number, of event and version where there is an event, so that nothing has to be counted in order.
with

{% if has_events %}
event_entrants as (
    select
        event.e * {{ versions }} + version.pv as r,
        version.pv,
        version.journey,
        version.version,
        coalesce(alias.root_id, event.profile_id) as unit_id,
        event.occurred_at as entered_at,
        {{ event_key }} as entry_key,
        'event/' || event.source || '/' || event.event_id as cause,
        event.properties
    from program_version as version
    inner join taken_event as event on version.entry_event = event.name
    left join alias
        on
            event.profile_id = alias.profile_id
            and event.occurred_at >= alias.from_at
            and event.occurred_at < alias.to_at
    where
        version.is_ticked
        and event.tick > version.last_tick
        and event.occurred_at >= version.published_at
        and (version.next_published_at is null or event.occurred_at < version.next_published_at)
),

{% endif %}
segment_entrants as (
    select
        version.pv,
        version.journey,
        version.version,
        history.profile_id as unit_id,
        history.as_of as entered_at,
        cast(null as {{ dialect.text }}) as entry_key,
        'entry/' || history.entry_id as cause,
        cast(null as {{ dialect.text }}) as properties
    from program_version as version
    inner join taken_evaluation on version.entry_segment = taken_evaluation.segment
    inner join tailrace.segment_history as history
        on taken_evaluation.segment = history.segment and taken_evaluation.as_of = history.as_of
    where
        version.is_ticked
        and version.entry_kind = 'segment'
        and taken_evaluation.tick > version.last_tick
        and history.change = 'entered'
        and history.cause = 'data'
        and history.as_of >= version.published_at
        and (version.next_published_at is null or history.as_of < version.next_published_at)
),

{% if has_existing %}
existing_entrants as (
    select
        version.pv,
        version.journey,
        version.version,
        stay.profile_id as unit_id,
        version.published_at as entered_at,
        cast(null as {{ dialect.text }}) as entry_key,
        'existing/' || cast(version.version as {{ dialect.text }}) || '/' || stay.profile_id as cause,
        cast(null as {{ dialect.text }}) as properties
    from program_version as version
    inner join member_stay as stay
        on
            version.entry_segment = stay.segment
            and version.published_at >= stay.from_at
            and version.published_at < stay.to_at
    left join alias
        on
            stay.profile_id = alias.profile_id
            and version.published_at >= alias.from_at
            and version.published_at < alias.to_at
    where
        alias.profile_id is null
        and version.is_ticked
        and version.takes_existing
        and version.entry_kind = 'segment'
        and version.published_at > version.last_as_of
),

{% endif %}
{% if has_timed %}
{% include "journeys/timed_entrants.sql" %}
{% endif %}
other_entrants as (
    select * from segment_entrants
    {% if has_existing %}

    union all

    select * from existing_entrants
    {% endif %}
    {% if has_timed %}

    union all

    select * from timed_entrants
    {% endif %}
),

entrants as (
    select
        (select coalesce(max(event.e), 0) + 1 from taken_event as event) * {{ versions }}
        + {{ dialect.numbered }} as r,
        other_entrants.*
    from other_entrants
    {% if has_events %}

    union all

    select * from event_entrants
    {% endif %}
)

select
    entrants.r,
    substring(
        md5(
            concat_ws(
                chr(31), 'run', entrants.journey, coalesce(entrants.entry_key, ''), entrants.cause
            )
        ), 1, 24
    ) as run_id,
    entrants.journey,
    entrants.version as entry_version,
    entrants.unit_id,
    coalesce(alias.root_id, entrants.unit_id) as person,
    entrants.entered_at,
    entrants.entry_key,
    entrants.cause,
    entrants.properties,
    cast(true as boolean) as is_new,
    entrants.pv as entry_pv,
    cast(null as {{ dialect.text }}) as arm
from entrants
left join alias on entrants.unit_id = alias.profile_id and alias.to_at = {{ literal(forever) }}
