-- Since when two profiles are one person, for those that are by now.
with

spans as (
    select
        alias.profile_id,
        alias.root_id,
        alias.from_at
    from alias
    where alias.profile_id in (select kin.profile_id from kin)

    union all

    select
        profile_id,
        profile_id as root_id,
        {{ literal(never) }} as from_at
    from (
        select profile_id
        from alias

        union

        select root_id as profile_id
        from alias
    ) as merged
    where profile_id in (select kin.profile_id from kin)
)

select
    one.profile_id as one,
    other.profile_id as other,
    min(greatest(one.from_at, other.from_at)) as from_at
from spans as one
inner join spans as other on one.root_id = other.root_id and one.profile_id <> other.profile_id
group by one.profile_id, other.profile_id
