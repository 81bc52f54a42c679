-- Entries of memberships that go on, each with the person it belongs to now.
-- After a merge the winner owns the loser's entries, through any number of merges, until the person leaves.
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

spells as (

    select
        entered.entry_id,
        entered.cause,
        entered.as_of,
        departed.as_of as left_at,
        departed.cause as left_cause,
        coalesce(profile_map.profile_id, entered.profile_id) as profile_id
    from history as entered
    left join history as departed
        on
            entered.entry_id = departed.entry_id
            and departed.change = 'left'
    left join {{ profile_map }} as profile_map
        on
            profile_map.identifier_type = 'profile_id'
            and profile_map.identifier = entered.profile_id
    where entered.change = 'entered'

),

-- whether nothing of the person's reached this entry: then it began a new membership
parted as (

    select
        spells.*,
        coalesce(
            spells.as_of > max(coalesce(spells.left_at, cast('9999-12-31' as {{ dialect.kind("timestamptz") }}))) over (
                partition by spells.profile_id
                order by spells.as_of, spells.entry_id
                rows between unbounded preceding and 1 preceding
            ),
            true
        ) as is_beginning
    from spells

),

members as (

    select
        profile_id,
        max(case when is_beginning then as_of end) as since
    from parted
    group by profile_id
    having count(left_at) < count(*)

)

select
    spells.entry_id,
    spells.profile_id,
    spells.cause,
    spells.as_of
from spells
inner join members on spells.profile_id = members.profile_id
where
    spells.left_at is null
    -- a merge of this very membership closed it
    or (spells.left_cause = 'merge' and spells.left_at >= members.since)
