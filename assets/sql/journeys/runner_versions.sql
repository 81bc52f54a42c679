-- The versions that each run may be in during this tick: its own and, where runs migrate, all others.
select
    spot.r,
    {% if migrates %}
    reached.pv
    {% else %}
    spot.pv
    {% endif %}
from spot
{% if migrates %}
inner join program_version as mine on spot.pv = mine.pv
inner join program_version as reached on mine.journey = reached.journey
{% endif %}
