-- What each planned message of a run is made of: whoever looks at one later finds its text by that.
select
    _send_key as send_key,
    {{ literal(sync.name) }} as sync,
    entry_id as key,
    _run_id as run_id,
    _profile_id as profile_id,
    {% for name in made_of %}
    {{ name if name in columns else "null" }} as {{ name }},
    {% endfor %}
    {{ literal(sync.destination.channel) }} as channel,
    {{ literal(sync.entry.purpose) }} as purpose,
    {{ literal(as_of) }} as as_of
from {{ planned }}
where _run_id = {{ literal(run_id) }}
