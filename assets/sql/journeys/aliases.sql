-- Profiles that were merged away: who each was, from when until when. Before the first row a profile is itself.
with

merges as (
    select
        identifier as profile_id,
        profile_id as root_id,
        as_of as from_at,
        number
    from tailrace.profile_id_history
    where
        identifier_type = 'profile_id'
        and change = 'merged'
        and as_of <= {{ literal(clock.as_of) }}
        and known_by <= {{ literal(clock.known_by) }}
)

select
    profile_id,
    root_id,
    from_at,
    number,
    coalesce(
        lead(from_at) over (partition by profile_id order by from_at, number), {{ literal(forever) }}
    ) as to_at
from merges
