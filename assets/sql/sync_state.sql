-- How many keys of one sync stand where: what the vendor holds, what waits.
with

settled as (

    select
        key,
        op,
        outcome,
        row_number() over (
            partition by key
            order by epoch, seq
        ) as place
    from {{ deliveries }}
    where
        sync = {{ literal(sync) }}
        and destination = {{ literal(destination) }}
        and outcome <> 'retry'

),

standing as (

    select
        key,
        max(place) as last_place,
        coalesce(max(case when outcome = 'accepted' then place end), 0) as accepted_place
    from settled
    group by key

)

select
    count(*) filter (
        where settled.place = standing.accepted_place and settled.op <> 'remove'
    ) as accepted,
    count(*) filter (
        where settled.place = standing.last_place and settled.outcome = 'pending'
    ) as pending
from settled
inner join standing on settled.key = standing.key
