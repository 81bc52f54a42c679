-- How many would have entered the journey when it was last held back, where no tick of it came since.
select
    held.as_of,
    held.entries
from tailrace.journey_held as held
where
    held.journey = {{ literal(journey) }}
    and not exists (
        select 1
        from tailrace.journey_tick as ticked
        where ticked.journey = held.journey and ticked.as_of >= held.as_of
    )
order by held.as_of desc
limit 1
