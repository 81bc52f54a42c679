-- What the last tick of each journey had seen.
select
    journey,
    as_of,
    loaded_through
from (
    select
        *,
        row_number() over (partition by journey order by tick desc) as place
    from {{ kept }}.journey_tick
) as ranked
where place = 1
