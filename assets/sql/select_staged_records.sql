select
    landed.batch_id,
    landed.file,
    staged.line,
    {{ literal(loaded_at) }} as loaded_at,
    staged.text as record
from staged
inner join landed on staged.file_number = landed.file_number
where staged.reason is null
