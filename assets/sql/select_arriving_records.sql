with

{% include 'arriving_checked.sql' %}

select
    batch_id,
    file,
    line,
    {{ literal(loaded_at) }} as loaded_at,
    text as record
from checked
where reason is null
