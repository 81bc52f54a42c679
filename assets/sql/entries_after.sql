-- The moment after which entries are a new message sync's: that of the evaluation before the latest.
-- Where deliveries are known of it, the latest evaluation is that of its first one: this warehouse forgot the rest.
with

evaluated as (

    select as_of
    from tailrace.segment_evaluation
    where segment = {{ literal(segment) }}

),

begun as (

    select min(as_of) as as_of
    from tailrace.delivery_opened
    where sync = {{ literal(sync) }} and destination = {{ literal(destination) }}

)

select
    {{ literal(sync) }} as sync,
    {{ literal(destination) }} as destination,
    max(evaluated.as_of) as entries_after
from evaluated
where
    evaluated.as_of < (
        select max(latest.as_of)
        from evaluated as latest
        cross join begun
        where begun.as_of is null or latest.as_of <= begun.as_of
    )
