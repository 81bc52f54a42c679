-- Decisions that are other than the history has them; what nobody knows of any more is neither yes nor no.
with

ranked as (
    select
        profile_id,
        channel,
        contact_point,
        purpose,
        granted,
        suppressed,
        reason,
        row_number() over (
            partition by profile_id, channel, contact_point, purpose
            order by as_of desc
        ) as place
    from tailrace.consent_history
),

latest as (
    select * from ranked
    where place = 1
)

select
    coalesce(today.profile_id, latest.profile_id) as profile_id,
    coalesce(today.channel, latest.channel) as channel,
    coalesce(today.contact_point, latest.contact_point) as contact_point,
    coalesce(today.purpose, latest.purpose) as purpose,
    today.granted,
    coalesce(today.suppressed, false) as suppressed,
    today.reason,
    {{ literal(clock.as_of) }} as as_of,
    {{ literal(clock.known_by) }} as known_by
from {{ schema }}.consent as today
full outer join latest
    on
        today.profile_id = latest.profile_id
        and today.channel = latest.channel
        and today.contact_point = latest.contact_point
        and today.purpose = latest.purpose
where
    today.granted is distinct from latest.granted
    or coalesce(today.suppressed, false) is distinct from coalesce(latest.suppressed, false)
