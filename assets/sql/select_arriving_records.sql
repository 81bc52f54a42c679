with

{% include 'arriving_checked.sql' %}

select
    landed.batch_id,
    landed.file,
    checked.line,
    {{ literal(loaded_at) }} as loaded_at,
    checked.text as record
from checked
inner join landed on checked.file_number = landed.file_number
where checked.reason is null
