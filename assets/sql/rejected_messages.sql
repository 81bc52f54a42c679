-- The messages of a run that the vendor refused for good, with the contact points they were for.
select
    planned._send_key as send_key,
    planned._profile_id as profile_id,
    cast(planned.{{ quote(contact) }} as {{ dialect.text }}) as contact,
    deliveries.reason,
    deliveries.sink
from tailrace.deliveries as deliveries
inner join {{ planned }} as planned
    on deliveries.run_id = planned._run_id and deliveries.spool_row = planned._row
where deliveries.run_id = {{ literal(run_id) }} and deliveries.outcome = 'rejected'
order by planned._row
