-- Messages of a journey that may go now: admitted, neither withdrawn nor expired nor settled, outside the quiet hours of
-- their recipient also where they are late. Each belongs to who its person is by now, and goes by the clock on their wall.
-- `_expires_at` and `_quiet_at` are the moments from which the claim lets them go no more, for good or until later.
{% set has_quiet_hours = policy.quiet_hours and sync.entry.purpose != "transactional" %}
with

ranked as (
    select
        outbox.*,
        row_number() over (
            partition by outbox.send_key
            order by outbox.round desc
        ) as place
    from tailrace.message_outbox as outbox
    where
        outbox.journey = {{ literal(sync.journey) }}
        and outbox.sink = {{ literal(sync.entry.sink) }}
        and outbox.purpose = {{ literal(sync.entry.purpose) }}
        and outbox.expires_at > {{ literal(as_of) }}
        {% if is_waiting %}
        and false
        {% endif %}
),

due as (
    select
        ranked.*,
        coalesce(profile_map.profile_id, ranked.unit_id) as person_id
    from ranked
    left join tailrace.profile_map as profile_map
        on ranked.unit_id = profile_map.identifier and profile_map.identifier_type = 'profile_id'
    where
        ranked.place = 1
        and ranked.decision = 'admitted'
        and ranked.not_before <= {{ literal(as_of) }}
        and ranked.send_key not in (select settled.entry_id from ({{ settled }}) as settled)
        and ranked.send_key not in (
            select message.send_key
            from tailrace.message_event as message
            where message.event = 'withdrawn'
        )
),

{% if has_quiet_hours %}
{% set begin = policy.quiet_hours.begin.hour * 3600 + policy.quiet_hours.begin.minute * 60 %}
{% set end = policy.quiet_hours.end.hour * 3600 + policy.quiet_hours.end.minute * 60 %}
moved as (
    select
        profile_id,
        time_zone,
        row_number() over (
            partition by profile_id
            order by as_of desc
        ) as place
    from tailrace.profile_history
    where profile_id in (select due.person_id from due)
),

placed as (
    select
        due.*,
        coalesce(moved.time_zone, due.zone) as wall_zone
    from due
    left join moved on due.person_id = moved.profile_id and moved.place = 1
),

-- zones are few: clocks are read once a zone
clocks as (
    select distinct
        wall_zone,
        date_trunc('day', {{ dialect.local_time(literal(as_of), "wall_zone") }}) as midnight
    from placed
),

shown as (
    select
        wall_zone,
        midnight,
        {{ dialect.seconds_between("midnight", dialect.local_time(literal(as_of), "wall_zone")) }} as second_of_day
    from clocks
),

awake as (
    select
        wall_zone,
        {{ dialect.utc_time(
            dialect.plus_seconds(
                "midnight", "case when second_of_day < " ~ begin ~ " then " ~ begin ~ " else " ~ (86400 + begin) ~ " end"
            ), "wall_zone"
        ) }} as quiet_at
    from shown
    where
        {% if begin < end %}
        second_of_day < {{ begin }} or second_of_day >= {{ end }}
        {% else %}
        second_of_day < {{ begin }} and second_of_day >= {{ end }}
        {% endif %}
),

timed as (
    select
        placed.*,
        awake.quiet_at
    from placed
    inner join awake on placed.wall_zone = awake.wall_zone
)

{% else %}
timed as (
    select
        *,
        cast(null as {{ dialect.kind("timestamptz") }}) as quiet_at
    from due
)

{% endif %}
select
    timed.send_key as entry_id,
    timed.person_id as profile_id,
    timed.journey,
    cast(timed.version as {{ dialect.text }}) as version,
    timed.node,
    timed.template,
    {{ dialect.json_text_at("version.templates", "timed.template") }} as template_version,
    {{ variables }} as variables,
    timed.expires_at as _expires_at,
    timed.quiet_at as _quiet_at
from timed
inner join tailrace.journey_run as run on timed.run_id = run.run_id
left join tailrace.journey_version as version on timed.journey = version.journey and timed.version = version.version
