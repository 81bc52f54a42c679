-- Rows that wait: the vendor's last word on them is a permanent no, and nobody released them since. One row a key.
with

troubled as (

    select distinct
        sync,
        destination,
        key
    from tailrace.deliveries
    where outcome = 'rejected'

),

ranked as (

    select
        deliveries.*,
        row_number() over (
            partition by deliveries.sync, deliveries.destination, deliveries.key
            order by deliveries.epoch desc, deliveries.seq desc
        ) as place
    from tailrace.deliveries as deliveries
    inner join troubled
        on
            deliveries.sync = troubled.sync
            and deliveries.destination = troubled.destination
            and deliveries.key = troubled.key
    where deliveries.outcome in ('accepted', 'rejected', 'unknown', 'pending', 'withdrawn')

)

select
    ranked.sync,
    ranked.destination,
    ranked.key,
    ranked.profile_id,
    ranked.op,
    ranked.reason,
    ranked.run_id,
    ranked.recorded_at,
    ranked.as_of
from ranked
where
    ranked.place = 1
    and ranked.outcome = 'rejected'
    and not exists (
        select 1
        from tailrace.release as release
        where
            release.sync = ranked.sync
            and release.destination = ranked.destination
            and (release.key is null or release.key = ranked.key)
            and (release.epoch > ranked.epoch or (release.epoch = ranked.epoch and release.seq >= ranked.seq))
    )
