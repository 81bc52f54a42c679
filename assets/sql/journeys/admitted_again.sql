-- The same, with where in the order those are decided anew that were just found to be paused.
select
    admitted.send_key,
    admitted.unit_id,
    admitted.person,
    admitted.journey,
    admitted.channel,
    admitted.template,
    admitted.purpose,
    admitted.is_marketing,
    admitted.not_before,
    coalesce(admitted.again_at, again.window_at) as again_at,
    coalesce(admitted.again_priority, again.priority) as again_priority,
    coalesce(admitted.again_logical_at, again.logical_at) as again_logical_at
from admitted
left join (
    select
        offer_again.send_key,
        offer_again.priority,
        offer_again.logical_at,
        judged_again.window_at
    from offer_again
    inner join judged_again on offer_again.o = judged_again.o
) as again on admitted.send_key = again.send_key
