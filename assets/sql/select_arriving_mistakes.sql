with

{% include 'arriving_checked.sql' %}

select
    batch_id,
    {{ literal(source) }} as source,
    file,
    line,
    coalesce(original, text) as text,
    reason,
    {{ literal(loaded_at) }} as loaded_at,
    file_number
from checked
where reason is not null
order by file_number, line
