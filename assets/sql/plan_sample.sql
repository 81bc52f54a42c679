-- A few rows of each kind, the same ones every time.
with

ranked as (

    select
        plan_rows.*,
        row_number() over (
            partition by _kind
            order by {{ order }}
        ) as _place
    from {{ rows }} as plan_rows
    where _op is not null or _kind in ('refused', 'waiting')

)

select *
from ranked
where _place <= {{ examples }}
order by _kind, _place
