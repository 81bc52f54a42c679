-- Every message by its last decision; with `unexpired_at` only those that have not expired then. It is sent once a vendor
-- accepted it; refused where it was not admitted, or was taken back before a vendor had it. One that waits, was rejected
-- by the vendor or is of unknown outcome is neither.
rounds as (
    select
        outbox.*,
        row_number() over (
            partition by outbox.send_key
            order by outbox.round desc
        ) as place
    from {{ kept }}.message_outbox as outbox
    {% if unexpired_at %}
    where outbox.expires_at > {{ literal(unexpired_at) }}
    {% endif %}
),

taken_back as (
    select distinct send_key
    from {{ kept }}.message_event
    where event = 'withdrawn'
),

answers as (
    {% if has_deliveries %}
    select
        {{ quote("key") }} as send_key,
        max(case when outcome = 'accepted' then 1 else 0 end) as is_accepted
    from {{ kept }}.deliveries
    where sync like '%/message_outbox%' and outcome in ('accepted', 'unknown', 'pending')
    group by {{ quote("key") }}
    {% else %}
    select
        send_key,
        0 as is_accepted
    from taken_back
    where false
    {% endif %}
),

message_states as (
    select
        rounds.journey,
        rounds.version,
        rounds.node,
        rounds.run_id,
        rounds.sink,
        rounds.purpose,
        answers.send_key is not null as is_answered,
        coalesce(answers.is_accepted, 0) as is_sent,
        case
            when answers.send_key is not null then 0
            when rounds.decision <> 'admitted' or taken_back.send_key is not null then 1
            else 0
        end as is_refused
    from rounds
    left join taken_back on rounds.send_key = taken_back.send_key
    left join answers on rounds.send_key = answers.send_key
    where rounds.place = 1
)
