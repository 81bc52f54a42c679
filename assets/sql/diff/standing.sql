-- Of every identity the row that was accepted last and the last row of all, with where its others stand.
{% from "diff/macros.sql" import each, equal with context %}
with

positions as (

    select
        {{ each(identity) }},
        max(_position) as _last_position,
        max(case when _outcome = 'accepted' then _position else 0 end) as _accepted_position,
        max(case when _outcome = 'unknown' then _position else 0 end) as _unknown_position,
        max(case when _outcome = 'unknown' and _op in ({{ waiting }}) and not _released then _position else 0 end)
            as _waiting_position
    from past
    group by {{ each(identity) }}

)

select
    past.*,
    positions._last_position,
    positions._accepted_position,
    positions._unknown_position,
    positions._waiting_position
from past
inner join positions on {{ equal(identity, "past", "positions") }}
where past._position in (positions._accepted_position, positions._last_position)
