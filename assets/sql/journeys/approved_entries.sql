-- Journeys that somebody let take people in since they moved last, and how many the word was for.
select
    approval.journey,
    max(held.entries) as entries
from tailrace.journey_approval as approval
inner join tailrace.journey_held as held
    on approval.journey = held.journey and approval.held_as_of = held.as_of
where
    not exists (
        select 1
        from tailrace.journey_tick as ticked
        where ticked.journey = approval.journey and ticked.as_of >= approval.held_as_of
    )
group by approval.journey
