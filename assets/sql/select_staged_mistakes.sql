select
    landed.batch_id,
    {{ literal(source) }} as source,
    landed.file,
    staged.line,
    coalesce(staged.original, staged.text) as text,
    staged.reason,
    {{ literal(loaded_at) }} as loaded_at
from staged
inner join landed on staged.file_number = landed.file_number
where staged.reason is not null
order by landed.file_number, staged.line
