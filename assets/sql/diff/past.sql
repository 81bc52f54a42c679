-- All that the ledger has of whoever is doubtful.
{% from "diff/macros.sql" import position with context %}
select
    {% for name in columns %}
    ledger.{{ quote(name) }},
    {% endfor %}
    ledger._profile_id,
    ledger._op,
    ledger._outcome,
    ledger._config,
    ledger._as_of,
    ledger._uncast,
    -- one number that orders an identity's rows: a window over (epoch, seq) would sort them all
    {{ position("ledger") }} as _position,
    ledger._epoch < {{ released_all[0] }}
    or (ledger._epoch = {{ released_all[0] }} and ledger._seq <= {{ released_all[1] }})
    {% if released %}
    or coalesce(
        ledger._epoch < released._epoch or (ledger._epoch = released._epoch and ledger._seq <= released._seq),
        false
    )
    {% endif %}
    as _released
from {{ ledger }} as ledger
{% if released %}
left join ({{ released }}) as released on {{ key_text("ledger") }} = released.key
{% endif %}
where {{ identity_hash }} in (select doubts._doubtful_hash from doubts)
