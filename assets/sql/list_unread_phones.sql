-- phone numbers as written, with the country of their record, that were never brought into E.164
select
    events.phone as written,
    coalesce(upper({{ dialect.json_text('events.properties', '$.country') }}), '') as country
from {{ schema }}.stg_events as events
left join tailrace.phone as phones
    on
        events.phone = phones.written
        and coalesce(upper({{ dialect.json_text('events.properties', '$.country') }}), '') = phones.country
where events.phone is not null and phones.written is null
group by 1, 2
order by 1, 2
