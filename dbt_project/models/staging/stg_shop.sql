with

raw_shop as (
    select * from {{ records('shop', {
        'message_id': 'id', 'message_type': 'type', 'event': 'event',
        'anonymous_id': 'anonymousId', 'user_id': 'userId',
        'happened': 'at', 'sent': 'sentAt', 'properties': 'properties', 'traits': 'traits',
    }) }}
),

renamed as (
    select
        -- ids
        coalesce(message_id, {{ line_id() }}) as event_id,
        batch_id,
        anonymous_id,
        user_id,
        cast(null as {{ text_type() }}) as crm_id,
        cast(null as {{ text_type() }}) as profile_id,

        -- text
        'shop' as source,
        case
            when event is not null then event
            when message_type = 'page' then 'Page Viewed'
            when message_type = 'identify' then 'Identified'
        end as name,
        {{ json_text('traits', '$.email') }} as email,
        {{ json_text('traits', '$.phone') }} as phone,
        {{ json_merge('traits', 'properties') }} as properties,

        -- times
        {{ try_cast('happened', timestamp_type()) }} as occurred_at,
        {{ try_cast('sent', timestamp_type()) }} as received_at,
        loaded_at as known_at
    from raw_shop
)

select * from renamed
