with

{% include 'arriving_checked.sql' %}

select
    landed.batch_id,
    {{ literal(source) }} as source,
    landed.file,
    checked.line,
    coalesce(checked.original, checked.text) as text,
    checked.reason,
    {{ literal(loaded_at) }} as loaded_at,
    landed.file_number
from checked
inner join landed on checked.file_number = landed.file_number
where checked.reason is not null
order by landed.file_number, checked.line
