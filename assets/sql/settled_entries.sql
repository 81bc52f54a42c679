-- Entries that were sent, or ended otherwise: they get no message any more. Of a journey's messages what a person let go
-- again since (`released`: a query by key, `released_all`: up to which position) has not ended.
{% for relation in relations %}
{{ "union all" if not loop.first }}

select ledger.entry_id
from {{ relation }} as ledger
{% if released %}
left join (
    {{ released }}
) as released on ledger.entry_id = released._key
{% endif %}
where
    ledger._outcome <> 'retry'
    {% if is_journey %}
    and not (
        ledger._outcome in ('rejected', 'unknown')
        and (
            {% include "let_go.sql" %}
        )
    )
    {% endif %}
{% else %}
select cast(null as {{ dialect.text }}) as entry_id
where false
{% endfor %}
