with

deliveries as (
    select * from {{ source('kept', 'deliveries') }}
),

events as (
    select * from {{ ref('stg_events') }}
    where name like 'Message %'
),

sent as (
    select
        sync,
        cast(as_of as date) as result_date,
        outcome,
        count(*) as counted
    from deliveries
    group by sync, cast(as_of as date), outcome
),

reported as (
    select
        {{ json_text('properties', '$.sync') }} as sync,
        cast(occurred_at as date) as result_date,
        name as outcome,
        count(*) as counted
    from events
    where {{ json_text('properties', '$.sync') }} is not null
    group by {{ json_text('properties', '$.sync') }}, cast(occurred_at as date), name
),

counts as (
    select * from sent

    union all

    select * from reported
)

select
    sync,
    result_date,
    {{ counted(['accepted', 'rejected', 'unknown']) }} as sent,
    {{ counted(['accepted']) }} as accepted,
    {{ counted(['rejected']) }} as rejected,
    {{ counted(['unknown']) }} as unknown,
    {{ counted(['Message Delivered']) }} as delivered,
    {{ counted(['Message Opened']) }} as opened,
    {{ counted(['Message Clicked']) }} as clicked,
    {{ counted(['Message Bounced']) }} as bounced,
    {{ counted(['Message Unsubscribed']) }} as unsubscribed,
    {{ counted(['Message Converted']) }} as converted
from counts
group by sync, result_date
