-- Messages that nothing but others can keep back.
select
    offer.o,
    offer.send_key,
    offer.unit_id,
    offer.person,
    offer.journey,
    offer.channel,
    offer.template,
    offer.purpose,
    offer.priority,
    offer.is_marketing,
    offer.logical_at,
    judged.window_at,
    judged.not_before
from {{ offers }} as offer
inner join {{ judgements }} as judged on offer.o = judged.o
where judged.reason is null
