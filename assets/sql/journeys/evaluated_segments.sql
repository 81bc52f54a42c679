-- Until when the history of each segment goes.
select
    segment,
    max(as_of) as as_of
from {{ kept }}.segment_evaluation
group by segment
