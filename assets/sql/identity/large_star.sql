-- every neighbour of a node that comes after it is tied to the first of the node and its neighbours
with

neighbours as (
    select
        node,
        parent as neighbour
    from identity_link
    union all
    select
        parent as node,
        node as neighbour
    from identity_link
),

firsts as (
    select
        node,
        case when min(neighbour) < node then min(neighbour) else node end as parent
    from neighbours
    group by node
)

select distinct
    neighbours.neighbour as node,
    firsts.parent
from neighbours
inner join firsts on neighbours.node = firsts.node
where neighbours.neighbour > neighbours.node
