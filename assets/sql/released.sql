-- Up to which position of the ledger held rows were released, one row a key; `_key` is null for the whole sync.
with

ranked as (

    select
        key,
        epoch,
        seq,
        row_number() over (
            partition by key
            order by epoch desc, seq desc
        ) as place
    from tailrace.release
    where
        sync = {{ literal(sync) }}
        and destination = {{ literal(destination) }}
        and {{ what }}

)

select
    key as _key,
    epoch as _epoch,
    seq as _seq
from ranked
where place = 1
