{{ config(materialized='view') }}

with

events as (
    select * from {{ ref('int_events') }}
    where
        name in (
            'Consent Granted', 'Consent Withdrawn', 'Contact Updated',
            'Message Unsubscribed', 'Message Resubscribed', 'Message Complained', 'Message Bounced'
        )
        or (name in ({{ trait_events() }}) and {{ json_text('properties', '$.push_token') }} is not null)
),

parsed as (
    select
        profile_id,
        source,
        event_id,
        name,
        email,
        phone,
        occurred_at as decided_at,
        -- a record without an id of its own is known by the address it holds
        coalesce(crm_id, concat_ws('/', profile_id, email)) as record_id,
        nullif({{ normalized(json_text('properties', '$.channel')) }}, '') as channel,
        coalesce(nullif({{ normalized(json_text('properties', '$.purpose')) }}, ''), 'marketing') as purpose,
        {{ json_text('properties', '$.bounce') }} as bounce,
        coalesce({{ json_text('properties', '$.contact') }}, {{ trait_value('push_token') }}) as push_token,
        lower({{ json_text('properties', '$.marketing_consent') }}) in ('true', 't', 'yes', 'y', '1') as is_opt_in
    from events
),

-- a contact record repeats what was decided before: only one that says something else is a decision, whatever else
-- of it changed; but a no goes along to a new address
contact_records as (
    select
        *,
        lag(is_opt_in) over (partition by source, record_id order by decided_at, event_id) as earlier_opt_in,
        lag(is_opt_in) over (partition by source, record_id, email order by decided_at, event_id) as earlier_of_address
    from parsed
    where name = 'Contact Updated' and is_opt_in is not null
),

decisions as (
    select
        profile_id,
        channel,
        purpose,
        email,
        phone,
        push_token,
        decided_at,
        name in ('Consent Granted', 'Message Resubscribed') as granted,
        case name
            when 'Consent Granted' then 'granted'
            when 'Message Resubscribed' then 'resubscribed'
            when 'Consent Withdrawn' then 'withdrawn'
            when 'Message Unsubscribed' then 'unsubscribed'
            when 'Message Complained' then 'complaint'
            else 'hard bounce'
        end as reason
    from parsed
    where
        name in (
            'Consent Granted', 'Consent Withdrawn', 'Message Unsubscribed', 'Message Resubscribed', 'Message Complained'
        )
        or (name = 'Message Bounced' and bounce is distinct from 'soft')

    union all

    select
        profile_id,
        channel,
        purpose,
        email,
        phone,
        cast(null as {{ text_type() }}) as push_token,
        decided_at,
        is_opt_in as granted,
        case when is_opt_in then 'contact record says yes' else 'contact record says no' end as reason
    from contact_records
    where
        is_opt_in is distinct from earlier_opt_in
        or (not is_opt_in and earlier_of_address is distinct from false)

    union all

    -- who lets the app of their device send has said so to the device; saying it again takes back no withdrawal
    select
        profile_id,
        'push' as channel,
        'marketing' as purpose,
        cast(null as {{ text_type() }}) as email,
        cast(null as {{ text_type() }}) as phone,
        push_token,
        min(decided_at) as decided_at,
        true as granted,
        'device registered' as reason
    from parsed
    where name in ({{ trait_events() }}) and push_token is not null
    group by profile_id, push_token
),

scoped as (
    select
        profile_id,
        -- a no that names no channel we know is about all of them; anything else without a channel is about e-mail
        case
            when channel in ('email', 'sms', 'push') then channel
            when granted or reason = 'hard bounce' then coalesce(channel, 'email')
            when channel is null and reason = 'contact record says no' then 'email'
        end as channel,
        purpose,
        email,
        phone,
        push_token,
        decided_at,
        granted,
        reason
    from decisions
)

select * from scoped
