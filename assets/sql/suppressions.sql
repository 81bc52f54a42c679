-- Contact points that may not be used for a purpose, as the journal knows them.
select
    {{ contact }} as contact,
    consent.purpose,
    max(consent.decided_at) as suppressed_at
from {{ consent }} as consent
where
    consent.contact_point is not null
    and (not consent.granted or consent.suppressed)
group by {{ contact }}, consent.purpose
