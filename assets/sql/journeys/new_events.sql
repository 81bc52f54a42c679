-- Events of these names that no tick took. What happened before anything was published is nobody's affair. By their
-- clocks where that says the same: they became known, or happened, after the last tick (two ranges, so that all else is
-- not read); else (`is_behind`) by what is there.
{% set known_by, as_of = literal(before.known_by), literal(before.as_of) %}
{% set new %}
        source,
        event_id,
        profile_id,
        name,
        occurred_at,
        known_at,
        properties
    from {{ relation }} as events
    where
        name in ({{ names }})
        and occurred_at <= {{ literal(through.as_of) }}
        and known_at <= {{ literal(through.known_by) }}
        and occurred_at >= {{ literal(since) }}
{% endset %}
select
    {{ dialect.numbered }} as e,
    found.*,
    cast({{ number }} as bigint) as tick
from (
    select
{{ new }}
    {% if is_behind %}
        and not exists (
            select 1
            from tailrace.journey_event as taken
            where taken.source = events.source and taken.event_id = events.event_id
        )
    {% else %}
        and known_at > {{ known_by }}

    union all

    select
{{ new }}
        and known_at <= {{ known_by }} and occurred_at > {{ as_of }}
    {% endif %}
) as found
