-- Whether a person let the row `ledger` go again: all of the sync up to a position (`released_all`), or its key (`released`).
ledger._epoch < {{ released_all[0] }}
or (ledger._epoch = {{ released_all[0] }} and ledger._seq <= {{ released_all[1] }})
{% if released %}
or coalesce(
    ledger._epoch < released._epoch or (ledger._epoch = released._epoch and ledger._seq <= released._seq),
    false
)
{% endif %}
