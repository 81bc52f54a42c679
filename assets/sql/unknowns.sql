-- Operations that the vendor may have processed, and neither an accepted one since nor the
-- provider nor a person settled them. One row a key.
with

doubts as (

    select
        deliveries.*,
        row_number() over (
            partition by deliveries.sync, deliveries.destination, deliveries.key
            order by deliveries.epoch desc, deliveries.seq desc
        ) as place
    from tailrace.deliveries as deliveries
    where deliveries.outcome = 'unknown'

)

select
    doubts.sync,
    doubts.destination,
    doubts.key,
    doubts.profile_id,
    doubts.op,
    doubts.reason,
    doubts.run_id,
    doubts.recorded_at,
    doubts.as_of
from doubts
where
    doubts.place = 1
    and not exists (
        select 1
        from tailrace.deliveries as later
        where
            later.sync = doubts.sync
            and later.destination = doubts.destination
            and later.key = doubts.key
            and later.outcome = 'accepted'
            and (later.epoch > doubts.epoch or (later.epoch = doubts.epoch and later.seq > doubts.seq))
    )
    and not exists (
        select 1
        from tailrace.settlement as settlement
        where
            settlement.sync = doubts.sync
            and settlement.destination = doubts.destination
            and settlement.key = doubts.key
            and (settlement.epoch > doubts.epoch or (settlement.epoch = doubts.epoch and settlement.seq >= doubts.seq))
    )
    and not exists (
        select 1
        from tailrace.release as release
        where
            release.sync = doubts.sync
            and release.destination = doubts.destination
            and (release.key is null or release.key = doubts.key)
            and (release.epoch > doubts.epoch or (release.epoch = doubts.epoch and release.seq >= doubts.seq))
    )
