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
    (
        {% include "let_go.sql" %}
    ) as _released
from {{ ledger }} as ledger
{% if released %}
left join ({{ released }}) as released on {{ key_text("ledger") }} = released._key
{% endif %}
where {{ identity_hash }} in (select doubts._doubtful_hash from doubts)
