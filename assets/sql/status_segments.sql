-- every segment that was ever evaluated: its size now, and who entered and left at its last evaluation
with

latest as (
    select
        segment,
        max(as_of) as as_of
    from segment_evaluation
    group by segment
),

changes as (
    select
        segment_history.segment,
        segment_history.change,
        segment_history.as_of = latest.as_of as is_last
    from segment_history
    inner join latest on segment_history.segment = latest.segment
)

select
    latest.segment as name,
    count(*) filter (where changes.change = 'entered') - count(*) filter (where changes.change = 'left') as size,
    count(*) filter (where changes.change = 'entered' and changes.is_last) as entered,
    count(*) filter (where changes.change = 'left' and changes.is_last) as "left",
    latest.as_of
from latest
left join changes on latest.segment = changes.segment
group by latest.segment, latest.as_of
order by latest.segment
