-- What separates the model from what the vendor last accepted, one row an operation or a held row.
-- Both sides are reduced to two 64-bit hashes; identities whose hashes do not pair one to one are `doubtful` and are
-- compared exactly, column by column. A collision of identity hashes only makes more rows doubtful.
-- The last row, of kind `summary`, carries counts in `_note` (see assets/diff.py).
{% macro each(names, before="", between=", ") %}
{% for name in names %}{{ before }}{{ quote(name) }}{{ between if not loop.last }}{% endfor %}
{% endmacro %}
{% macro equal(names, left, right) %}
{% for name in names %}{{ left }}.{{ quote(name) }} = {{ right }}.{{ quote(name) }}{{ " and " if not loop.last }}{% endfor %}
{% endmacro %}
{% macro before(right) %}
ledger._epoch < {{ right }}._epoch or (ledger._epoch = {{ right }}._epoch and ledger._seq <= {{ right }}._seq)
{% endmacro %}
{% macro same(left, right) %}
{% for name in columns %}today.{{ quote(name) }} is not distinct from {{ right }}.{{ quote(name) }}{{ " and " if not loop.last }}{% endfor %}
{% endmacro %}
with

audience as (

{{ audience }}

),

ledger as (

{{ ledger }}

),

model_hash as (

    select
        {{ identity_hash }} as identity_hash,
        {{ row_hash }} as row_hash
    from audience
    where not _suppressed

),

ledger_hash as (

    select
        {{ identity_hash }} as identity_hash,
        case
            when _outcome = 'accepted' and _op <> 'remove' and not _uncast then {{ row_hash }}
        end as row_hash
    from ledger

),

doubtful as (

    select distinct coalesce(model_hash.identity_hash, ledger_hash.identity_hash) as identity_hash
    from model_hash
    {{ "full outer" if removes else "left" }} join ledger_hash on model_hash.identity_hash = ledger_hash.identity_hash
    -- also where one side is missing, and where the ledger's row is not an accepted one
    where {{ "true" if whole else "(model_hash.row_hash = ledger_hash.row_hash) is not true" }}

),

candidates as (

    select *
    from audience
    where {{ identity_hash }} in (select doubtful.identity_hash from doubtful)

),

today as (

    select *
    from candidates
    where not _suppressed

),

suppressed as (

    select distinct {{ each(identity) }}
    from candidates
    where _suppressed

),

released as (

{{ released }}

),

past as (

    select
        ledger.*,
        row_number() over (
            partition by {{ each(identity, "ledger.") }}
            order by ledger._epoch, ledger._seq
        ) as _position,
        coalesce({{ before("released") }}, false) or {{ before("everything") }} as _released
    from ledger
    left join released on released.key = {{ key_text("ledger") }}
    cross join (select {{ released_all[0] }} as _epoch, {{ released_all[1] }} as _seq) as everything
    where {{ identity_hash }} in (select doubtful.identity_hash from doubtful)

),

standing as (

    select
        {{ each(identity) }},
        max(_position) as last_position,
        coalesce(max(case when _outcome = 'accepted' then _position end), 0) as accepted_position,
        coalesce(max(case when _outcome = 'unknown' then _position end), 0) as unknown_position,
        coalesce(max(case when _outcome = 'unknown' and _op in ({{ waiting }}) and not _released then _position end), 0)
            as waiting_position
    from past
    group by {{ each(identity) }}

),

accepted as (

    select past.*
    from past
    inner join standing on {{ equal(identity, "past", "standing") }}
    where past._position = standing.accepted_position and past._op <> 'remove'

),

latest as (

    select past.*
    from past
    inner join standing on {{ equal(identity, "past", "standing") }}
    where past._position = standing.last_position

),

compared as (

    select
        {% for name in columns %}
        case
            when today._suppressed is not null then today.{{ quote(name) }}
            when accepted._op is not null then accepted.{{ quote(name) }}
            else latest.{{ quote(name) }}
        end as {{ quote(name) }},
        {% endfor %}
        case when today._suppressed is not null then today._profile_id else latest._profile_id end as _profile_id,
        today._contact,
        today._suppressed is not null as is_in_model,
        accepted._op is not null as is_in_state,
        standing.unknown_position > standing.accepted_position as is_uncertain,
        standing.waiting_position > standing.accepted_position as is_waiting,
        accepted._op is not null and not accepted._uncast and {{ same("today", "accepted") }} as is_same,
        latest._outcome = 'pending' as is_pending,
        latest._outcome = 'withdrawn' as is_withdrawn,
        latest._outcome = 'rejected' and latest._op <> 'remove' and latest._config = {{ literal(config) }}
        and not latest._released and {{ same("today", "latest") }} as is_refused,
        latest._outcome = 'rejected' and latest._op = 'remove' and latest._as_of >= {{ literal(day_start) }}
        and not latest._released as is_refused_today,
        suppressed.{{ quote(identity[0]) }} is not null as is_suppressed,
        {% for name in identity %}
        (today._suppressed is not null and today.{{ quote(name) }} is null) or
        {% endfor %}
        {% for name in key %}
        (today._suppressed is not null and today.{{ quote(name) }} is null){{ " or" if not loop.last }}
        {% endfor %}
        as is_null,
        concat_ws(
            ',',
            {% for name in columns %}
            case when today.{{ quote(name) }} is distinct from accepted.{{ quote(name) }} then {{ literal(name) }} end{{ "," if not loop.last }}
            {% endfor %}
        ) as differing
    from today
    full outer join standing on {{ equal(identity, "today", "standing") }}
    left join accepted on {{ equal(identity, "standing", "accepted") }}
    left join latest on {{ equal(identity, "standing", "latest") }}
    left join suppressed on {{ equal(identity, "standing", "suppressed") }}

),

decided as (

    select
        compared.*,
        case
            when is_null then 'null'
            when is_pending then 'pending'
            when is_waiting then 'waiting'
            {% if once %}
            when is_in_state {{ "or is_withdrawn" if sends }} then 'same'
            {% endif %}
            when is_in_model and is_same and not coalesce(is_uncertain, false) then 'same'
            when is_in_model and is_refused then 'refused'
            when is_in_model and is_uncertain then 'uncertain'
            when is_in_model and is_in_state then 'changed'
            when is_in_model then 'entered'
            when not {{ "true" if removes else "false" }} then 'gone'
            when is_refused_today then 'refused'
            when is_in_state or is_uncertain then 'left'
            else 'gone'
        end as kind
    from compared

)

select
    kind as _kind,
    case
        when kind = 'left' then 'remove'
        when kind in ('entered', 'changed', 'uncertain'{{ ", 'same'" if whole }}) then {{ literal(op) }}
    end as _op,
    {% if refused %}
    kind = 'left' and (
        is_suppressed
        {% if contact %}
        or lower(trim(cast({{ quote(contact) }} as {{ dialect.text }}))) in (
            select refusals.contact_point
            from ({{ refused }}) as refusals
        )
        {% endif %}
    ) as _excused,
    {% else %}
    false as _excused,
    {% endif %}
    case when kind = 'changed' then differing end as _note,
    _profile_id,
    _contact,
    {{ each(columns) }}
from decided
where kind not in ('pending', 'gone'{{ ", 'same'" if not whole }})

union all

select
    'duplicate' as _kind,
    null as _op,
    false as _excused,
    cast(count(*) as {{ dialect.text }}) as _note,
    null as _profile_id,
    null as _contact,
    {% for name in columns %}
    {{ quote(name) if name in identity else "null" }} as {{ quote(name) }}{{ "," if not loop.last }}
    {% endfor %}
from today
group by {{ each(identity) }}
having count(*) > 1

union all

select
    'summary' as _kind,
    null as _op,
    false as _excused,
    concat_ws(
        ',',
        (select count(*) from audience where not _suppressed),
        (select count(*) from audience where _suppressed),
        (select count(*) from ledger),
        (select count(*) from today),
        (select count(*) from past),
        (select count(*) from compared where is_in_state)
    ) as _note,
    null as _profile_id,
    null as _contact,
    {% for name in columns %}
    null as {{ quote(name) }}{{ "," if not loop.last }}
    {% endfor %}
