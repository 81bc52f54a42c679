-- The next message of each person, in the order that counts, beside those admitted: does it repeat one, is it too many?
with

crowded as (
    select person
    from pending
    group by person
    having count(*) > 1
),

ordered as (
    select
        pending.*,
        row_number() over (
            partition by pending.person
            order by pending.window_at, pending.priority desc, pending.logical_at, pending.send_key
        ) as place
    from pending
    inner join crowded on pending.person = crowded.person
),

turn as (
    select
        pending.*,
        1 as place
    from pending
    left join crowded on pending.person = crowded.person
    where crowded.person is null

    union all

    select * from ordered
    where place = 1
),

near as (
    select
        turn.o,
        {% for cap in policy.caps %}
        sum(
            case
                when
                    {{ "turn.channel = " ~ literal(cap.channel) ~ " and admitted.channel = " ~ literal(cap.channel) ~ " and" if cap.channel }}
                    {{ "turn.purpose = " ~ literal(cap.purpose) ~ " and admitted.purpose = " ~ literal(cap.purpose) ~ " and" if cap.purpose }}
                    admitted.is_marketing
                    and abs({{ dialect.seconds_between("admitted.not_before", "turn.not_before") }})
                    < {{ cap.per.total_seconds() | int }}
                    then 1
                else 0
            end
        ) as count_{{ loop.index }},
        {% endfor %}
        max(
            case
                when
                    admitted.template = turn.template
                    and admitted.journey <> turn.journey
                    and abs({{ dialect.seconds_between("admitted.not_before", "turn.not_before") }})
                    < {{ policy.repeat_window.total_seconds() | int }}
                    then 1
                else 0
            end
        ) as is_repeated
    from turn
    inner join admitted on turn.person = admitted.person and turn.send_key <> admitted.send_key
    left join freed on admitted.send_key = freed.send_key
    {% if has_aliases %}
    left join together on turn.unit_id = together.one and admitted.unit_id = together.other
    {% endif %}
    where
        turn.is_marketing
        and (freed.send_key is null or freed.freed_at > turn.window_at or freed.freed_at >= admitted.not_before)
        {% if has_pauses %}
        and (
            admitted.again_at is null
            or admitted.again_at > turn.window_at
            or (admitted.again_at = turn.window_at and admitted.again_priority < turn.priority)
            or (
                admitted.again_at = turn.window_at
                and admitted.again_priority = turn.priority
                and (
                    admitted.again_logical_at > turn.logical_at
                    or (admitted.again_logical_at = turn.logical_at and admitted.send_key > turn.send_key)
                )
            )
        )
        {% endif %}
        and (
            turn.unit_id = admitted.unit_id
            {% if has_aliases %}
            or together.from_at <= turn.window_at
            {% endif %}
        )
    group by turn.o
)

select
    turn.o,
    case
        when near.is_repeated = 1 then 'repeated'
        {% for cap in policy.caps %}
        when near.count_{{ loop.index }} >= {{ cap.max }} then 'capped'
        {% endfor %}
    end as reason
from turn
left join near on turn.o = near.o
