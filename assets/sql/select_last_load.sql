select max(loaded_at) as loaded_at
from {{ files }}
where source = {{ literal(source) }}
