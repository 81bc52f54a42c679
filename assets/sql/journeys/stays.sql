-- Who was in these segments, from when until when.
with

history as (
    select
        entry_id,
        segment,
        profile_id,
        change,
        as_of
    from tailrace.segment_history
    where
        segment in ({{ segments }})
        and as_of <= {{ literal(clock.as_of) }}
        and known_by <= {{ literal(clock.known_by) }}
        {% if people %}
        and profile_id in (select {{ people }}.profile_id from {{ people }})
        {% endif %}
)

select
    entered.segment,
    entered.profile_id,
    entered.as_of as from_at,
    coalesce(gone.as_of, {{ literal(forever) }}) as to_at
from history as entered
left join history as gone on entered.entry_id = gone.entry_id and gone.change = 'left'
where entered.change = 'entered'
