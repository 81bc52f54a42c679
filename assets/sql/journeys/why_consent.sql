-- What was decided about the contact points that the person ever had.
with

held as (
    select
        'email' as channel,
        email as contact_point
    from {{ kept }}.profile_history
    where profile_id in ({{ profiles }})

    union

    select
        'sms' as channel,
        phone as contact_point
    from {{ kept }}.profile_history
    where profile_id in ({{ profiles }})

    union

    select
        'push' as channel,
        push_token as contact_point
    from {{ kept }}.profile_history
    where profile_id in ({{ profiles }})
)

select
    consent.as_of as at,
    'consent' as kind,
    cast(null as {{ dialect.text }}) as journey,
    cast(null as {{ dialect.text }}) as run_id,
    cast(null as {{ dialect.text }}) as node,
    case
        when consent.suppressed then 'suppressed'
        when consent.granted then 'granted'
        when not consent.granted then 'denied'
        else 'forgotten'
    end as decision,
    consent.reason,
    consent.profile_id as ref,
    consent.channel,
    consent.contact_point,
    consent.purpose
from {{ kept }}.consent_history as consent
inner join held on consent.channel = held.channel and consent.contact_point = held.contact_point
where consent.profile_id in ({{ profiles }})
