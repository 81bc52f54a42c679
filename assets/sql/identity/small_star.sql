-- a node, and all of its neighbours that come before it, are tied to the first of these
with

firsts as (
    select
        node,
        min(parent) as parent
    from identity_link
    group by node
)

select
    node,
    parent
from firsts
union
select
    identity_link.parent as node,
    firsts.parent
from identity_link
inner join firsts on identity_link.node = firsts.node
where identity_link.parent <> firsts.parent
