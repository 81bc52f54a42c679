-- Runs by the first reason that ended them (null: under way), and how many of them reached the goal.
with

ends as (
    select
        run_id,
        ended,
        row_number() over (
            partition by run_id
            order by case when ended is null then 1 else 0 end, hop
        ) as place,
        max(case when ended = 'goal' then 1 else 0 end) over (partition by run_id) as is_converted
    from tailrace.journey_transition
)

select
    ended,
    count(*) as n,
    sum(is_converted) as goals
from ends
where place = 1
group by ended
order by ended
