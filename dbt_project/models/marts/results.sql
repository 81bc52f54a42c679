with

deliveries as (
    select * from {{ source('kept', 'deliveries') }}
),

-- what a provider tells of a message names the message, and not the sync it left by
syncs as (
    select
        send_key,
        min(sync) as sync
    from {{ source('kept', 'message') }}
    group by send_key
),

events as (
    select
        events.*,
        coalesce({{ json_text('events.properties', '$.sync') }}, syncs.sync) as sync
    from {{ ref('stg_events') }} as events
    left join syncs on {{ json_text('events.properties', '$.send_key') }} = syncs.send_key
    where
        events.name like 'Message %'
        and coalesce({{ json_text('events.properties', '$.machine') }}, 'false') <> 'true'
),

-- a row tried several times in one run ended as it did the last time
attempts as (
    select
        sync,
        as_of,
        outcome,
        row_number() over (
            partition by run_id, spool_row
            order by seq desc
        ) as place
    from deliveries
    where outcome <> 'retry'
),

sent as (
    select
        sync,
        {{ local_day('as_of') }} as result_date,
        outcome,
        count(*) as counted
    from attempts
    where place = 1
    group by sync, {{ local_day('as_of') }}, outcome
),

reported as (
    select
        sync,
        {{ local_day('occurred_at') }} as result_date,
        name as outcome,
        count(*) as counted
    from events
    where sync is not null
    group by sync, {{ local_day('occurred_at') }}, name
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
