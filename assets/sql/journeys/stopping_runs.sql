-- Runs whose messages may have to be taken back: those that were left in this tick, and those of what is decided in it.
{% if has_offers %}
select run_id
from offer
{% endif %}
{% if has_left %}
{{ "union all" if has_offers }}

select runner.run_id
from moved
inner join runner on moved.r = runner.r
where moved.ended in ({{ withdrawing }})
{% endif %}
{% if has_late %}
{{ "union all" if has_offers or has_left }}

select run_id
from late_stop
{% endif %}
