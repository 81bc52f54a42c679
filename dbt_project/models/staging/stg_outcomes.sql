with

raw_outcomes as (
    select * from {{ records('outcomes', {
        'outcome_id': 'id', 'event': 'event', 'sync': 'sync', 'send_ref': 'send_ref',
        'profile_id': 'profile_id', 'email': 'email', 'phone': 'phone', 'contact': 'contact', 'happened': 'at',
        'bounce': 'bounce', 'purpose': 'purpose', 'channel': 'channel', 'send_key': 'send_key', 'machine': 'machine',
        'url': 'url', 'reason': 'reason', 'provider_id': 'provider_id', 'sink': 'sink',
    }) }}
),

renamed as (
    select
        -- ids
        coalesce(outcome_id, {{ line_id() }}) as event_id,
        batch_id,
        cast(null as {{ text_type() }}) as anonymous_id,
        cast(null as {{ text_type() }}) as user_id,
        cast(null as {{ text_type() }}) as crm_id,
        profile_id,

        -- text
        'outcomes' as source,
        case event
            when 'accepted' then 'Message Accepted'
            when 'rejected' then 'Message Rejected'
            when 'delivered' then 'Message Delivered'
            when 'opened' then 'Message Opened'
            when 'clicked' then 'Message Clicked'
            when 'bounced' then 'Message Bounced'
            when 'unsubscribed' then 'Message Unsubscribed'
            when 'resubscribed' then 'Message Resubscribed'
            when 'complained' then 'Message Complained'
            when 'converted' then 'Message Converted'
            else event
        end as name,
        email,
        phone,
        {{ json_object({
            'sync': 'sync', 'send_ref': 'send_ref', 'send_key': 'send_key', 'sink': 'sink', 'bounce': 'bounce',
            'purpose': 'purpose', 'channel': "coalesce(channel, case when email is not null then 'email' end)",
            'contact': 'contact', 'machine': 'machine', 'url': 'url', 'reason': 'reason', 'provider_id': 'provider_id',
        }) }} as properties,

        -- times
        {{ try_cast('happened', timestamp_type()) }} as occurred_at,
        cast(null as {{ timestamp_type() }}) as received_at,
        loaded_at as known_at
    from raw_outcomes
)

select * from renamed
