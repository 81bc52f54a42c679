-- ids that days before this one were given because no night had minted any: of each identifier the last
select
    identifier_type,
    identifier,
    profile_id,
    minted_at
from (
    select
        *,
        row_number() over (partition by identifier_type, identifier order by day desc) as latest
    from {{ derived }}
    where day < {{ literal(day) }}
) as ranked
where latest = 1
order by identifier_type, identifier
