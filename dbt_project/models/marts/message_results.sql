-- what was sent, by what it was made of, and what came of it; a message counts once in each column
with

-- a message that was planned again is what it was made of the last time
made as (
    select
        *,
        row_number() over (
            partition by send_key
            order by as_of desc, run_id desc
        ) as place
    from {{ source('kept', 'message') }}
),

events as (
    select
        {{ json_text('properties', '$.send_key') }} as send_key,
        name,
        coalesce({{ json_text('properties', '$.machine') }} = 'true', false) as is_machine
    from {{ ref('stg_events') }}
    where name like 'Message %' and {{ json_text('properties', '$.send_key') }} is not null
),

told as (
    select
        send_key,
        max(
            case when name in ('Message Delivered', 'Message Opened', 'Message Clicked') then 1 else 0 end
        ) as delivered,
        max(case when name in ('Message Opened', 'Message Clicked') and not is_machine then 1 else 0 end) as opened,
        max(case when name = 'Message Opened' and is_machine then 1 else 0 end) as machine_opened,
        max(case when name = 'Message Clicked' and not is_machine then 1 else 0 end) as clicked,
        max(case when name = 'Message Bounced' then 1 else 0 end) as bounced,
        max(case when name = 'Message Complained' then 1 else 0 end) as complained,
        max(case when name = 'Message Unsubscribed' then 1 else 0 end) as unsubscribed,
        max(case when name = 'Message Converted' then 1 else 0 end) as converted,
        max(case when name not in ('Message Rejected', 'Message Unsubscribed') then 1 else 0 end) as had,
        max(case when name = 'Message Rejected' then 1 else 0 end) as refused
    from events
    group by send_key
),

-- taken by the provider, as it said at once or told later
accepted as (
    select
        made.send_key,
        min(deliveries.as_of) as sent_at
    from made
    inner join {{ source('kept', 'deliveries') }} as deliveries
        on made.sync = deliveries.sync and made.key = deliveries.key
    left join told on made.send_key = told.send_key
    where
        deliveries.outcome = 'accepted'
        or (deliveries.outcome = 'unknown' and told.had = 1)
    group by made.send_key
),

goals as (
    select distinct outbox.send_key
    from {{ source('kept', 'message_outbox') }} as outbox
    inner join {{ source('kept', 'journey_transition') }} as transition
        on outbox.run_id = transition.run_id and transition.ended = 'goal'
),

messages as (
    select
        made.journey,
        made.node,
        made.template,
        made.template_version,
        made.locale,
        made.channel,
        {{ local_day('accepted.sent_at') }} as day,
        told.delivered,
        told.opened,
        told.machine_opened,
        told.clicked,
        told.bounced,
        told.complained,
        told.unsubscribed,
        greatest(coalesce(told.converted, 0), case when goals.send_key is not null then 1 else 0 end) as converted
    from made
    inner join accepted on made.send_key = accepted.send_key
    left join told on made.send_key = told.send_key
    left join goals on made.send_key = goals.send_key
    where made.place = 1 and coalesce(told.refused, 0) <= coalesce(told.had, 0)
)

select
    journey,
    node,
    template,
    template_version as version,
    locale,
    channel,
    day,
    count(*) as sent,
    count(case when delivered = 1 then 1 end) as delivered,
    count(case when opened = 1 then 1 end) as opened,
    count(case when machine_opened = 1 then 1 end) as machine_opened,
    count(case when clicked = 1 then 1 end) as clicked,
    count(case when bounced = 1 then 1 end) as bounced,
    count(case when complained = 1 then 1 end) as complained,
    count(case when unsubscribed = 1 then 1 end) as unsubscribed,
    count(case when converted = 1 then 1 end) as converted
from messages
group by journey, node, template, template_version, locale, channel, day
