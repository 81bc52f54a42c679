-- Who did not enter: as ticks said, and who came into an entry's segment by something else than data.
select
    refused.logical_at as at,
    'not_entered' as kind,
    refused.journey,
    cast(null as {{ dialect.text }}) as run_id,
    cast(null as {{ dialect.text }}) as node,
    'refused' as decision,
    refused.reason,
    refused.cause as ref,
    refused.entry_key as detail
from {{ kept }}.journey_non_entry as refused
where refused.unit_id in ({{ profiles }})
{% for entry in entries %}

union all

select
    history.as_of as at,
    'not_entered' as kind,
    {{ literal(entry.journey) }} as journey,
    cast(null as {{ dialect.text }}) as run_id,
    cast(null as {{ dialect.text }}) as node,
    'refused' as decision,
    'not_data' as reason,
    'entry/' || history.entry_id as ref,
    history.cause as detail
from {{ kept }}.segment_history as history
where
    history.profile_id in ({{ profiles }})
    and history.segment = {{ literal(entry.segment) }}
    and history.change = 'entered'
    and history.cause <> 'data'
    and history.as_of >= {{ literal(entry.since) }}
    and history.as_of < {{ literal(entry.until) }}
{% endfor %}
