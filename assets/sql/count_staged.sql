select
    file_number,
    count(*) filter (where reason is null) as good,
    count(*) filter (where reason is not null) as bad
from staged
group by file_number
