with

decisions as (
    select * from {{ ref('int_consent_decisions') }}
),

events as (
    select * from {{ ref('int_events') }}
),

contact_points as (
    select distinct
        profile_id,
        'email' as channel,
        email as contact_point
    from events
    where email is not null

    union all

    select distinct
        profile_id,
        'sms' as channel,
        phone as contact_point
    from events
    where phone is not null

    union all

    select distinct
        profile_id,
        'push' as channel,
        {{ trait_value('push_token') }} as contact_point
    from events
    where name in ({{ trait_events() }}) and {{ trait_value('push_token') }} is not null
),

-- a decision is about the address it names, or about all of the person's on that channel; or on every channel
applied as (
    select
        contact_points.profile_id,
        contact_points.channel,
        contact_points.contact_point,
        decisions.purpose,
        decisions.granted,
        decisions.reason,
        decisions.decided_at
    from decisions
    inner join contact_points
        on
            decisions.profile_id = contact_points.profile_id
            and coalesce(decisions.channel, contact_points.channel) = contact_points.channel
            and contact_points.contact_point = coalesce(
                case contact_points.channel
                    when 'email' then decisions.email
                    when 'sms' then decisions.phone
                    when 'push' then decisions.push_token
                end,
                contact_points.contact_point
            )
),

-- the latest decision wins; of two at the same moment the one that says no
latest as (
    select
        *,
        row_number() over (
            partition by profile_id, channel, contact_point, purpose
            order by decided_at desc, granted asc, reason asc
        ) as decision_order
    from applied
),

-- what no opt-in lifts: it holds for every purpose of the contact point
suppressions as (
    select
        profile_id,
        channel,
        contact_point,
        min(reason) as reason,
        min(decided_at) as suppressed_at
    from applied
    where reason in ('complaint', 'hard bounce')
    group by profile_id, channel, contact_point
)

select
    latest.profile_id,
    latest.channel,
    latest.contact_point,
    latest.purpose,
    latest.granted,
    suppressions.suppressed_at is not null as suppressed,
    coalesce(suppressions.reason, latest.reason) as reason,
    coalesce(suppressions.suppressed_at, latest.decided_at) as decided_at
from latest
left join suppressions
    on
        latest.profile_id = suppressions.profile_id
        and latest.channel = suppressions.channel
        and latest.contact_point = suppressions.contact_point
where latest.decision_order = 1
