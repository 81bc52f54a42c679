-- identifiers that belong together, two and two: of one combination all with its first, of one profile all with its id
with

pairs as (
{% for node in nodes %}
    select
        {{ node }} as one,
        {{ first }} as other
    from observed
    union all
{% endfor %}
    select
        {{ known }} as one,
        {{ profile }} as other
    from known_identifier
)

select distinct
    case when one > other then one else other end as node,
    case when one > other then other else one end as parent
from pairs
where one <> other
