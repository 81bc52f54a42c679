-- People about whom something is new: they may enter, or there is an event, a membership, a merge. Too many, or one more
-- than once, is only slow.
with

profiles as (
    select profile_id
    from taken_event
    where name in ({{ watched }})

    union all

    select history.profile_id
    from tailrace.segment_history as history
    inner join taken_evaluation
        on history.segment = taken_evaluation.segment and history.as_of = taken_evaluation.as_of

    union all

    select unit_id as profile_id
    from entrant

    union all

    select profile_id
    from alias
    where from_at > {{ literal(before.as_of) }} or number > {{ before.identity }}
)

select coalesce(alias.root_id, profiles.profile_id) as person
from profiles
left join alias on profiles.profile_id = alias.profile_id and alias.to_at = {{ literal(forever) }}
