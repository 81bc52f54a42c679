-- Memberships of the past: the segments' histories, and before each began the days that were worked out. Who is in it at a
-- day's end and was not the day before entered then.
with

begun as (
    select
        segment,
        min(as_of) as first_at
    from {{ kept }}.segment_evaluation
    where segment in ({{ segments }})
    group by segment
),

days as (
    select
        member.segment,
        member.profile_id,
        past_day.number,
        past_day.ended_at,
        begun.first_at,
        past_day.number - row_number() over (
            partition by member.segment, member.profile_id
            order by past_day.number
        ) as island
    from {{ kept }}.segment_days as member
    inner join past_day on member.day = past_day.day
    left join begun on member.segment = begun.segment
    where member.segment in ({{ segments }}) and (begun.first_at is null or past_day.ended_at < begun.first_at)
),

stays as (
    select
        segment,
        profile_id,
        first_at,
        min(number) as first_number,
        min(ended_at) as from_at,
        max(number) as last_number
    from days
    group by segment, profile_id, first_at, island
),

ended as (
    select
        stays.*,
        'day/' || stays.segment || '/' || cast(stays.first_number as {{ dialect.text }}) || '/' || stays.profile_id as entry_id,
        least(coalesce(past_day.ended_at, stays.first_at), coalesce(stays.first_at, past_day.ended_at)) as to_at
    from stays
    left join past_day on stays.last_number + 1 = past_day.number
),

last_days as (
    select
        segment,
        max(last_number) as number
    from stays
    group by segment
)

select
    entry_id,
    segment,
    profile_id,
    'entered' as change,
    case when first_number = 1 then 'first' else 'data' end as cause,
    from_at as as_of,
    from_at as known_by
from ended

union all

select
    entry_id,
    segment,
    profile_id,
    'left' as change,
    'data' as cause,
    to_at as as_of,
    to_at as known_by
from ended
where to_at is not null

union all

-- where days came before it, the first evaluation is one more of them
select
    history.entry_id,
    history.segment,
    history.profile_id,
    history.change,
    case
        when history.cause = 'first' and last_days.number is not null and still_in.profile_id is null then 'data'
        else history.cause
    end as cause,
    history.as_of,
    history.known_by
from {{ kept }}.segment_history as history
left join last_days on history.segment = last_days.segment
left join stays as still_in
    on
        history.segment = still_in.segment
        and history.profile_id = still_in.profile_id
        and still_in.last_number = last_days.number
where history.segment in ({{ segments }})
