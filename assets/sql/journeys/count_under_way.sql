-- Runs that are not over, by the version they stand in.
with

ranked as (
    select
        run_id,
        journey,
        version,
        row_number() over (
            partition by run_id
            order by hop desc
        ) as place,
        max(case when ended is not null then 1 else 0 end) over (partition by run_id) as is_over
    from {{ kept }}.journey_transition
)

select
    journey,
    version,
    count(*) as runs
from ranked
where place = 1 and is_over = 0
group by journey, version
