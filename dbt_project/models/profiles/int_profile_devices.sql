{{ config(materialized='view') }}

-- the device that was registered last, of those that are still there: a token that a provider called dead is gone
with

tokens as (
    select
        profile_id,
        {{ trait_value('push_token') }} as push_token,
        max(occurred_at) as registered_at
    from {{ ref('int_events') }}
    where name in ({{ trait_events() }})
    group by profile_id, {{ trait_value('push_token') }}
),

dead as (
    select
        {{ json_text('properties', '$.contact') }} as push_token,
        max(occurred_at) as died_at
    from {{ ref('int_events') }}
    where
        name = 'Message Bounced'
        and {{ json_text('properties', '$.channel') }} = 'push'
        and {{ json_text('properties', '$.bounce') }} = 'hard'
    group by {{ json_text('properties', '$.contact') }}
),

ranked as (
    select
        tokens.profile_id,
        tokens.push_token,
        row_number() over (
            partition by tokens.profile_id
            order by tokens.registered_at desc, tokens.push_token asc
        ) as token_order
    from tokens
    left join dead on tokens.push_token = dead.push_token and tokens.registered_at <= dead.died_at
    where tokens.push_token is not null and dead.push_token is null
)

select
    profile_id,
    push_token
from ranked
where token_order = 1
