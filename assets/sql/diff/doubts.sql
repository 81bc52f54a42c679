-- The rows of the model and of the ledger that do not pair one to one, both sides reduced to two 64-bit hashes.
-- The two sides are written out where they are read: a common table expression that is read twice would be kept whole.
{% from "diff/macros.sql" import accepted_hash with context %}
with

{% if not tail %}
ledger_side as (

    select
        {{ identity_hash }} as _identity_hash,
        {{ accepted_hash() }} as _row_hash
    from {{ ledger }} as ledger

),

{% endif %}
model_side as (

    select
        audience.*,
        {{ identity_hash }} as _identity_hash,
        {{ row_hash }} as _row_hash
    from {{ audience }} as audience
    where not _suppressed

)

-- one side is missing, the hashes differ, or the ledger's row is not an accepted one
select
    model_side.*,
    ledger_side._identity_hash is null as _is_alone,
    coalesce(model_side._identity_hash, ledger_side._identity_hash) as _doubtful_hash
from model_side
{{ "full outer" if removes else "left" }} join ledger_side on model_side._identity_hash = ledger_side._identity_hash
{% if not whole %}
where (model_side._row_hash = ledger_side._row_hash) is not true
{% endif %}
