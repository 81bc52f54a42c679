-- When each scope was paused and resumed, in order.
select
    scope,
    change,
    changed_at
from {{ kept }}.pause_change
order by changed_at, position
