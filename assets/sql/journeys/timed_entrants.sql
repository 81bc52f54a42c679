-- Members of a segment when their clock shows a campaign's time. The zone is the one they had before any clock on earth
-- showed it.
clocks as (
    select
        version.pv,
        occurrence.local_at,
        members.profile_id,
        version.entry_segment,
        {% if recipients %}
        case
            when occurrence.zone <> 'recipient' then occurrence.zone
            else coalesce(fact.time_zone, {{ literal(default_zone) }})
        end as zone
        {% else %}
        occurrence.zone
        {% endif %}
    from program_version as version
    inner join occurrence on version.pv = occurrence.pv
    inner join (
        select distinct
            segment,
            profile_id
        from member_stay
    ) as members on version.entry_segment = members.segment
    {% if recipients %}
    left join alias as earlier
        on
            members.profile_id = earlier.profile_id
            and occurrence.zone_at >= earlier.from_at
            and occurrence.zone_at < earlier.to_at
    left join fact
        on
            coalesce(earlier.root_id, members.profile_id) = fact.profile_id
            and occurrence.zone_at >= fact.from_at
            and occurrence.zone_at < fact.to_at
    {% endif %}
),

shown as (
    select
        clocks.*,
        {{ dialect.utc_time("clocks.local_at", "clocks.zone") }} as entered_at
    from clocks
),

-- a zone that becomes known later shows the same time once more
decided as (
    select
        journey,
        cause
    from tailrace.journey_run
    where entered_at >= {{ literal(timed_since) }}

    union all

    select
        journey,
        cause
    from tailrace.journey_non_entry
    where logical_at >= {{ literal(timed_since) }}
),

told as (
    select
        shown.*,
        substring(cast(shown.local_at as {{ dialect.text }}), 1, 16) as entry_key,
        'time/' || substring(cast(shown.local_at as {{ dialect.text }}), 1, 16) || '/' || shown.profile_id as cause
    from shown
),

timed_entrants as (
    select
        version.pv,
        version.journey,
        version.version,
        shown.profile_id as unit_id,
        shown.entered_at,
        shown.entry_key,
        shown.cause,
        cast(null as {{ dialect.text }}) as properties
    from told as shown
    inner join program_version as version on shown.pv = version.pv
    inner join member_stay as stay
        on
            version.entry_segment = stay.segment
            and shown.profile_id = stay.profile_id
            and shown.entered_at >= stay.from_at
            and shown.entered_at < stay.to_at
    left join alias
        on
            shown.profile_id = alias.profile_id
            and shown.entered_at >= alias.from_at
            and shown.entered_at < alias.to_at
    left join decided on version.journey = decided.journey and shown.cause = decided.cause
    where
        decided.cause is null
        and shown.entered_at > version.last_as_of
        and shown.entered_at <= {{ literal(clock.as_of) }}
        and shown.entered_at >= version.published_at
        and (version.next_published_at is null or shown.entered_at < version.next_published_at)
        and alias.profile_id is null
),

