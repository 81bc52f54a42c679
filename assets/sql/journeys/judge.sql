-- Each offered message with all that can be said of it alone: when its window closes, when it may arrive, why not.
-- A pause moves the window to its end; what is paused without an end is not judged.
with

closing as (
    select
        offer.o,
        offer.unit_id,
        offer.is_marketing,
        offer.channel,
        offer.purpose,
        offer.decided_at,
        {% if has_pauses %}
        case when pause_span.journey is null then offer.moment else pause_span.decided_at end as window_at
        {% else %}
        offer.moment as window_at
        {% endif %}
    from {{ offers }} as offer
    {% if has_pauses %}
    left join pause_span
        on
            offer.journey = pause_span.journey
            and offer.channel = pause_span.channel
            and offer.is_marketing = pause_span.is_marketing
            and offer.moment >= pause_span.from_at
            and offer.moment < pause_span.to_at
    {% endif %}
),

closed as (
    select
        closing.*,
        coalesce(alias.root_id, closing.unit_id) as profile_id
    from closing
    left join alias
        on
            closing.unit_id = alias.profile_id
            and closing.window_at >= alias.from_at
            and closing.window_at < alias.to_at
    where closing.window_at <= {{ literal(clock.as_of) }} and closing.window_at > closing.decided_at
),

placed as (
    select
        closed.o,
        closed.is_marketing,
        closed.channel,
        closed.purpose,
        closed.window_at,
        closed.profile_id,
        coalesce(fact.time_zone, {{ literal(policy.recipient_zone) }}) as zone,
        case closed.channel
            when 'email' then fact.email
            when 'sms' then fact.phone
            when 'push' then fact.push_token
        end as contact_point
    from closed
    left join fact
        on
            closed.profile_id = fact.profile_id
            and closed.window_at >= fact.from_at
            and closed.window_at < fact.to_at
),

{% if policy.quiet_hours %}
{% set begin = policy.quiet_hours.begin.hour * 3600 + policy.quiet_hours.begin.minute * 60 %}
{% set end = policy.quiet_hours.end.hour * 3600 + policy.quiet_hours.end.minute * 60 %}
-- windows end at few moments: clocks are read once a moment and zone
clocks as (
    select distinct
        window_at,
        zone
    from placed
    where is_marketing
),

shown as (
    select
        window_at,
        zone,
        date_trunc('day', {{ dialect.local_time("window_at", "zone") }}) as midnight,
        {{ dialect.local_time("window_at", "zone") }} as local_at
    from clocks
),

arriving as (
    select
        shown.window_at,
        shown.zone,
        case
            {% if begin < end %}
            when
                {{ dialect.seconds_between("shown.midnight", "shown.local_at") }} >= {{ begin }}
                and {{ dialect.seconds_between("shown.midnight", "shown.local_at") }} < {{ end }}
                then greatest(
                    shown.window_at, {{ dialect.utc_time(dialect.plus_seconds("shown.midnight", end), "shown.zone") }}
                )
            {% else %}
            when {{ dialect.seconds_between("shown.midnight", "shown.local_at") }} >= {{ begin }}
                then greatest(
                    shown.window_at,
                    {{ dialect.utc_time(dialect.plus_seconds("shown.midnight", 86400 + end), "shown.zone") }}
                )
            when {{ dialect.seconds_between("shown.midnight", "shown.local_at") }} < {{ end }}
                then greatest(
                    shown.window_at, {{ dialect.utc_time(dialect.plus_seconds("shown.midnight", end), "shown.zone") }}
                )
            {% endif %}
            else shown.window_at
        end as not_before
    from shown
),

timed as (
    select
        placed.*,
        coalesce(arriving.not_before, placed.window_at) as not_before
    from placed
    left join arriving
        on placed.is_marketing and placed.window_at = arriving.window_at and placed.zone = arriving.zone
),

{% else %}
timed as (
    select
        placed.*,
        placed.window_at as not_before
    from placed
),

{% endif %}
stances as (
    select
        placed.o,
        max(case when stance.suppressed then 1 else 0 end) as is_suppressed,
        max(case when stance.purpose = placed.purpose and stance.granted then 1 else 0 end) as is_granted
    from placed
    inner join stance
        on
            placed.profile_id = stance.profile_id
            and placed.channel = stance.channel
            and placed.contact_point = stance.contact_point
            and placed.window_at >= stance.from_at
            and placed.window_at < stance.to_at
    where stance.granted is not null
    group by placed.o
),

stopped as (
    select distinct placed.o
    from placed
    inner join {{ offers }} as offer on placed.o = offer.o
    inner join stop
        on
            offer.run_id = stop.run_id
            and offer.hop > stop.after_hop
            and stop.stopped_at <= placed.window_at
            and stop.stopped_at < offer.expires_at
)

select
    timed.o,
    timed.profile_id,
    timed.window_at,
    timed.not_before,
    timed.zone,
    case
        when offer.is_marketing and offer.arm <> 'treated' then offer.arm
        when offer.is_marketing and stopped.o is not null then 'withdrawn'
        when timed.contact_point is null or timed.contact_point = '' then 'no_contact'
        when stances.is_suppressed = 1 then 'suppressed'
        when offer.is_marketing and coalesce(stances.is_granted, 0) = 0 then 'no_consent'
        when timed.not_before >= offer.expires_at then 'expired'
    end as reason
from timed
inner join {{ offers }} as offer on timed.o = offer.o
left join stances on timed.o = stances.o
left join stopped on timed.o = stopped.o
