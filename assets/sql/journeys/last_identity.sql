-- The number of the last change of who is who that counts at the clock.
select coalesce(max(number), 0) as number
from tailrace.profile_id_history
where as_of <= {{ literal(clock.as_of) }} and known_by <= {{ literal(clock.known_by) }}
