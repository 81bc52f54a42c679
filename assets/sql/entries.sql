-- Members of the segment with the entry that a message may be sent for, one row a person.
-- Of all the entries that a person owns one is sent, and none when one was settled before.
with

owned as (

    {% include "owned_entries.sql" %}

),

ranked as (

    select
        entry_id,
        profile_id,
        row_number() over (
            partition by profile_id
            order by
                case when entry_id in (select settled.entry_id from ({{ settled }}) as settled) then 0 else 1 end,
                as_of desc,
                entry_id
        ) as place
    from owned
    where
        cause in ({{ causes }})
        {% if after %}
        and as_of > {{ literal(after) }}
        {% endif %}

)

select
    ranked.entry_id,
    members.*
from {{ members }} as members
inner join ranked on members.profile_id = ranked.profile_id
where ranked.place = 1
