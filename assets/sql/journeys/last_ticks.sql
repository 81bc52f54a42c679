-- What the last tick of each journey saw. One row a journey that ever moved.
with

ranked as (
    select
        journey,
        tick,
        as_of,
        known_by,
        loaded_through,
        identity_number,
        events_as_of,
        events_known_by,
        cap_window,
        row_number() over (
            partition by journey
            order by tick desc
        ) as place
    from tailrace.journey_tick
)

select * from ranked
where place = 1
