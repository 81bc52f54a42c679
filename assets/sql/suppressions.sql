-- Contact points that may not be used for a purpose, as a journal knows them, less those it was told of before.
with

refused as (

    select
        {{ contact }} as contact,
        consent.purpose,
        max(consent.decided_at) as suppressed_at
    from {{ consent }} as consent
    where
        consent.contact_point is not null
        and (not consent.granted or consent.suppressed)
    group by {{ contact }}, consent.purpose

    union all

    -- what no purpose may use, not even what somebody asked for
    select
        {{ contact }} as contact,
        'transactional' as purpose,
        max(consent.decided_at) as suppressed_at
    from {{ consent }} as consent
    where consent.contact_point is not null and consent.suppressed and consent.purpose <> 'transactional'
    group by {{ contact }}

),

told as (

    select
        copied.contact,
        copied.purpose,
        copied.suppressed_at
    from {{ copied }} as copied
    where copied.journal_id = {{ literal(journal_id) }}

)

select
    refused.contact,
    refused.purpose,
    refused.suppressed_at
from refused
left join told
    on
        refused.contact = told.contact
        and refused.purpose = told.purpose
        and refused.suppressed_at = told.suppressed_at
where told.contact is null
