-- Who entered and who left the segment since its history was last advanced: the model beside the open memberships.
-- A member whose profile was merged into another gives the membership to the winner; neither is news about a person.
with

history as (
    select
        entry_id,
        profile_id,
        change
    from tailrace.segment_history
    where segment = {{ literal(segment) }}
),

opened as (
    select
        entry_id,
        profile_id
    from history
    where
        change = 'entered'
        and not exists (
            select 1
            from history as departed
            where departed.entry_id = history.entry_id and departed.change = 'left'
        )
),

aliases as (
    select
        identifier as profile_id,
        profile_id as winner_id
    from tailrace.profile_map
    where identifier_type = 'profile_id' and identifier <> profile_id
),

held as (
    select
        opened.entry_id,
        opened.profile_id,
        aliases.winner_id
    from opened
    left join aliases on opened.profile_id = aliases.profile_id
),

members as (
    select distinct profile_id
    from {{ relation }}
    where profile_id is not null
),

departures as (
    select
        held.entry_id,
        held.profile_id,
        case
            when held.winner_id is not null then 'merge'
            else {{ literal(cause) }}
        end as cause
    from held
    left join members on held.profile_id = members.profile_id
    where held.winner_id is not null or members.profile_id is null
),

arrivals as (
    select
        {{ entry_id }} as entry_id,
        members.profile_id,
        case
            when members.profile_id in (select winner_id from held where winner_id is not null) then 'merge'
            else {{ literal(cause) }}
        end as cause
    from members
    left join held on members.profile_id = held.profile_id
    where held.profile_id is null
),

differences as (
    select
        entry_id,
        profile_id,
        'left' as change,
        cause
    from departures

    union all

    select
        entry_id,
        profile_id,
        'entered' as change,
        cause
    from arrivals
)

select
    entry_id,
    {{ literal(segment) }} as segment,
    profile_id,
    change,
    cause,
    {{ literal(clock.as_of) }} as as_of,
    {{ literal(clock.known_by) }} as known_by
from differences
