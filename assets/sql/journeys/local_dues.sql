-- Until when a run waits for a time of day, a weekday or a date, in the zone its person had when the wait began.
with

waits as (
    select
        moving.r,
        moving.since_at,
        node.day,
        node.weekday,
        node.day_seconds,
        node.seconds,
        case
            when node.zone <> 'recipient' then node.zone
            else coalesce(fact.time_zone, {{ literal(default_zone) }})
        end as zone,
        {% if dates %}
        case node.date_column
            {% for name in dates %}
            when {{ literal(name) }} then {{ json_text("fact.dates", "$." ~ name) }}
            {% endfor %}
        end as date_text
        {% else %}
        cast(null as {{ dialect.text }}) as date_text
        {% endif %}
    from moving
    inner join program_node as node on moving.n = node.n
    inner join runner on moving.r = runner.r
    left join alias
        on
            runner.unit_id = alias.profile_id
            and moving.since_at >= alias.from_at
            and moving.since_at < alias.to_at
    left join fact
        on
            coalesce(alias.root_id, runner.unit_id) = fact.profile_id
            and moving.since_at >= fact.from_at
            and moving.since_at < fact.to_at
    where node.zone is not null
),

days as (
    select
        *,
        date_trunc('day', {{ dialect.local_time("since_at", "zone") }}) as midnight,
        case
            when weekday is null then 0
            else (weekday - {{ dialect.weekday(dialect.local_time("since_at", "zone")) }} + 7) % 7
        end as days_ahead
    from waits
),

chosen as (
    select
        *,
        {{ dialect.utc_time(dialect.plus_seconds("midnight", "days_ahead * 86400 + day_seconds"), "zone") }} as first_at,
        {{ dialect.utc_time(
            dialect.plus_seconds(
                "midnight", "(days_ahead + case when weekday is null then 1 else 7 end) * 86400 + day_seconds"
            ), "zone"
        ) }} as second_at,
        {{ dialect.plus_seconds(
            dialect.utc_time(
                dialect.plus_seconds(dialect.try_cast("substring(date_text, 1, 10)", "timestamp"), "day_seconds"), "zone"
            ), "seconds"
        ) }} as date_at,
        {{ dialect.plus_seconds(dialect.try_cast("date_text", "timestamptz"), "seconds") }} as moment_at
    from days
)

select
    r,
    case
        when day = 'until' then case when first_at >= since_at then first_at else second_at end
        when length(date_text) = 10 then date_at
        else moment_at
    end as due_at
from chosen
