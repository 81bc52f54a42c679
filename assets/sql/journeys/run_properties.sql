-- The entry events' properties that branches read. One row a run and property it has; numbers that are none (NaN) or
-- have no end are no numbers.
with

told as (
    {% for name in properties %}
    {{ "union all" if not loop.first }}
    select
        r,
        {{ literal(name) }} as name,
        {{ json_text("properties", "$." ~ name) }} as value
    from runner
    {% endfor %}
),

numbered as (
    select
        told.*,
        {{ dialect.try_cast("value", "double") }} as number
    from told
    where value is not null
)

select
    r,
    name,
    value,
    case when number between -1e308 and 1e308 then number end as number
from numbered
