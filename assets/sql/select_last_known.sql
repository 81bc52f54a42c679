select max(known_at) as known_at
from {{ events }}
where source = {{ literal(source) }}
