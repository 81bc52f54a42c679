-- every segment's size after each evaluation that changed it
with

history as (
    select * from {{ source('kept', 'segment_history') }}
),

changes as (
    select
        segment,
        as_of,
        count(case when change = 'entered' then 1 end) as entered,
        count(case when change = 'left' then 1 end) as gone
    from history
    group by segment, as_of
)

select
    segment,
    as_of,
    entered,
    gone,
    cast(sum(entered - gone) over (partition by segment order by as_of) as bigint) as members
from changes
