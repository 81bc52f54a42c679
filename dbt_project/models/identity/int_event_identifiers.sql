{{ config(materialized='view') }}

with

events as (
    select * from {{ ref('stg_events') }}
),

blocked as (
    select * from {{ ref('blocked_identifiers') }}
),

phones as (
    select * from {{ source('tailrace', 'phone') }}
),

-- a number without a country code is read with the country its own record gives
phoned as (
    select
        events.*,
        phones.identifier as phone_number
    from events
    left join phones
        on
            events.phone = phones.written
            and {{ phone_country('events.properties') }} = phones.country
),

identified as (
    select
        source,
        event_id,
        name,
        occurred_at,
        known_at,
        properties,
        {{ identifier('user_id') }} as user_id,
        {{ identifier('crm_id') }} as crm_id,
        {{ email_identifier('email') }} as email,
        {{ identifier('phone_number') }} as phone,
        {{ identifier('anonymous_id') }} as anonymous_id,
        {{ identifier('profile_id') }} as profile_id
    from phoned
)

select * from identified
