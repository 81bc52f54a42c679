-- What these people were admitted before, each by its last decision, as far as it can still count. `again_…`: where in the
-- order it is decided anew, because it was paused when it was to go; from there on this decision holds no place.
with

again as (
    select
        send_key,
        max(round) as round
    from tailrace.message_outbox
    where round > 1
    group by send_key
)

select
    outbox.send_key,
    outbox.unit_id,
    coalesce(alias.root_id, outbox.unit_id) as person,
    outbox.journey,
    outbox.channel,
    outbox.template,
    outbox.purpose,
    outbox.purpose <> 'transactional' as is_marketing,
    outbox.not_before,
    offered.window_at as again_at,
    offered.priority as again_priority,
    offered.logical_at as again_logical_at
from tailrace.message_outbox as outbox
left join again on outbox.send_key = again.send_key
left join (
    select
        offer.send_key,
        offer.priority,
        offer.logical_at,
        judged.window_at
    from offer
    inner join judged on offer.o = judged.o
    where offer.round > 1
) as offered on outbox.send_key = offered.send_key
left join alias on outbox.unit_id = alias.profile_id and alias.to_at = {{ literal(forever) }}
where
    outbox.decision = 'admitted'
    and outbox.not_before > {{ literal(since) }}
    and (again.round is null or outbox.round = again.round)
    and outbox.unit_id in (select kin.profile_id from kin)
