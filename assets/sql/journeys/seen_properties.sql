-- the properties that any of the last events of one name has
select distinct {{ dialect.json_keys("properties") }} as property
from (
    select properties
    from events
    where name = {{ literal(event) }}
    order by occurred_at desc
    limit {{ sample }}
) as latest
where {{ dialect.json_valid("properties") }}
