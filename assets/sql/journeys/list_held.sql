-- Journeys that more people would have entered at once than may, and that did not move since: as of their last tick.
with

moved as (
    select
        journey,
        max(as_of) as as_of
    from {{ kept }}.journey_tick
    group by journey
),

ranked as (
    select
        *,
        row_number() over (
            partition by journey
            order by as_of desc
        ) as place
    from {{ kept }}.journey_held
)

select
    ranked.journey,
    ranked.entries
from ranked
left join moved on ranked.journey = moved.journey
where ranked.place = 1 and (moved.as_of is null or ranked.as_of > moved.as_of)
