with

raw_crm as (
    select * from {{ records('crm', {
        'contact_id': 'contact_id', 'email': 'email', 'phone': 'phone',
        'first_name': 'first_name', 'last_name': 'last_name', 'country': 'country', 'time_zone': 'time_zone',
        'marketing_opt_in': 'marketing_opt_in', 'updated_at': 'updated_at',
    }) }}
),

renamed as (
    select
        -- ids: a contact has one record a moment
        coalesce(contact_id || '@' || updated_at, {{ line_id() }}) as event_id,
        batch_id,
        cast(null as {{ text_type() }}) as anonymous_id,
        cast(null as {{ text_type() }}) as user_id,
        contact_id as crm_id,
        cast(null as {{ text_type() }}) as profile_id,

        -- text
        'crm' as source,
        'Contact Updated' as name,
        email,
        phone,
        {{ json_object({
            'first_name': "nullif(first_name, '')", 'last_name': "nullif(last_name, '')",
            'country': "nullif(country, '')", 'time_zone': "nullif(time_zone, '')",
            'marketing_consent': "lower(nullif(marketing_opt_in, ''))",
        }) }} as properties,

        -- times
        {{ try_cast('updated_at', timestamp_type()) }} as occurred_at,
        cast(null as {{ timestamp_type() }}) as received_at,
        loaded_at as known_at
    from raw_crm
)

select * from renamed
