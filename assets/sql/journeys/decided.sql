-- What was decided in this tick: what was refused whatever the others are, and who competed.
select
    offer.send_key,
    offer.round,
    offer.run_id,
    offer.hop,
    offer.node,
    offer.journey,
    offer.version,
    offer.unit_id,
    judged.profile_id,
    offer.channel,
    offer.sink,
    offer.template,
    offer.purpose,
    offer.priority,
    offer.logical_at,
    judged.window_at,
    judged.not_before,
    offer.expires_at,
    judged.zone,
    coalesce(judged.reason, settled.reason) as reason
from offer
inner join judged on offer.o = judged.o
left join settled on offer.o = settled.o
