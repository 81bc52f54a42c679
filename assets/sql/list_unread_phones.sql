-- phone numbers as written, with the country of their record, that were never brought into E.164; numbered from 1
with

seen as (
    select distinct
        events.phone as written,
        coalesce(upper({{ dialect.json_text('events.properties', '$.country') }}), '') as country
    from {{ schema }}.stg_events as events
    where events.phone is not null
)

select
    seen.written,
    seen.country,
    row_number() over (order by seen.written, seen.country) as place
from seen
left join tailrace.phone as phones
    on seen.written = phones.written and seen.country = phones.country
where phones.written is null
