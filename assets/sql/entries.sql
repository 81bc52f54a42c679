-- Members of the segment with the entry that a message may be sent for, one row a person.
-- After a merge the winner owns the loser's entries: of all it owns one is sent, and none when one was settled before.
with

history as (

    select
        segment_history.entry_id,
        segment_history.profile_id,
        segment_history.change,
        segment_history.cause,
        segment_history.as_of
    from {{ history }} as segment_history
    where segment_history.segment = {{ literal(segment) }}

),

entered as (

    select
        history.entry_id,
        history.cause,
        history.as_of,
        coalesce(profile_map.profile_id, history.profile_id) as profile_id
    from history
    left join {{ profile_map }} as profile_map
        on
            profile_map.identifier_type = 'profile_id'
            and profile_map.identifier = history.profile_id
    where history.change = 'entered'

),

departed as (

    select
        entry_id,
        max(case when cause = 'merge' then as_of end) as merged_at
    from history
    where change = 'left'
    group by entry_id

),

open_since as (

    select
        entered.profile_id,
        min(entered.as_of) as as_of
    from entered
    where entered.entry_id not in (select departed.entry_id from departed)
    group by entered.profile_id

),

owned as (

    select
        entered.entry_id,
        entered.profile_id,
        entered.as_of,
        entered.entry_id in (select settled.entry_id from ({{ settled }}) as settled) as is_settled
    from entered
    inner join open_since on entered.profile_id = open_since.profile_id
    left join departed on entered.entry_id = departed.entry_id
    where
        entered.cause in ({{ causes }})
        -- it is open, or a merge of this very membership closed it
        and (departed.entry_id is null or departed.merged_at >= open_since.as_of)

),

ranked as (

    select
        owned.*,
        row_number() over (
            partition by owned.profile_id
            order by owned.is_settled desc, owned.as_of desc, owned.entry_id
        ) as place
    from owned

)

select
    ranked.entry_id,
    members.*
from {{ members }} as members
inner join ranked on members.profile_id = ranked.profile_id
where ranked.place = 1
