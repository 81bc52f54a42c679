-- What separates the model from what the vendor last accepted, one row an operation or a held row.
-- Who is doubtful is compared exactly, column by column, with all the ledger has of it. A collision of identity hashes
-- makes more rows doubtful; the one case in which a row of the model is missed by that shows in the counts, and
-- `careful` reads again what is doubtful.
-- The last row, of kind `summary`, carries counts in `_note` (see assets/diff.py).
{% from "diff/macros.sql" import each, equal, same with context %}
with

{% if careful %}
today as (

    select *
    from {{ audience }} as audience
    where not _suppressed and {{ identity_hash }} in (select doubts._doubtful_hash from doubts)

),

{% else %}
today as (

    select
        _suppressed,
        _profile_id,
        {{ each(kept) }},
        {{ each(columns) }}
    from doubts
    where _suppressed is not null and _is_alone

    union all

    -- several rows of the ledger may have doubted one row of the model
    select distinct
        _suppressed,
        _profile_id,
        {{ each(kept) }},
        {{ each(columns) }}
    from doubts
    where _suppressed is not null and not _is_alone

),

{% endif %}
{% if refused %}
-- who said no; others are left out because no decision of theirs is known
suppressed as (

    select distinct {{ each(identity) }}
    from {{ audience }} as audience
    where
        _suppressed
        and _contact in (select refusals.contact_point from ({{ refused }}) as refusals)
        and {{ identity_hash }} in (select doubts._doubtful_hash from doubts)

),

{% endif %}
accepted as (

    select *
    from standing
    where _position = _accepted_position and _op <> 'remove'

),

known as (

    select *
    from standing
    where _position = _last_position

),

-- what came after the accepted row, where anything did
latest as (

    select *
    from known
    where _last_position > _accepted_position

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
        case
            when today._suppressed is not null then today._profile_id
            when accepted._op is not null then accepted._profile_id
            else latest._profile_id
        end as _profile_id,
        {% for name in kept %}
        today.{{ name }},
        {% endfor %}
        today._suppressed is not null as _is_in_model,
        accepted._op is not null as _is_in_state,
        known._unknown_position > known._accepted_position as _is_uncertain,
        known._waiting_position > known._accepted_position as _is_waiting,
        accepted._op is not null and not accepted._uncast and {{ same("accepted") }} as _is_same,
        latest._outcome = 'pending' as _is_pending,
        latest._outcome = 'withdrawn' as _is_withdrawn,
        latest._outcome = 'rejected' and latest._op <> 'remove' and latest._config = {{ literal(config) }}
        and not latest._released and {{ same("latest") }} as _is_refused,
        latest._outcome = 'rejected' and latest._op = 'remove' and latest._as_of >= {{ literal(day_start) }}
        and not latest._released as _is_refused_today,
        {{ "suppressed." ~ quote(identity[0]) ~ " is not null" if refused else "false" }} as _is_suppressed,
        {% for name in identity %}
        (today._suppressed is not null and today.{{ quote(name) }} is null) or
        {% endfor %}
        {% for name in key %}
        (today._suppressed is not null and today.{{ quote(name) }} is null){{ " or" if not loop.last }}
        {% endfor %}
        as _is_null,
        case
            when not ({{ same("accepted") }}) then concat_ws(
                ',',
                {% for name in columns %}
                case when today.{{ quote(name) }} is distinct from accepted.{{ quote(name) }} then {{ literal(name) }} end{{ "," if not loop.last }}
                {% endfor %}
            )
            else ''
        end as _differing
    from today
    full outer join known on {{ equal(identity, "today", "known") }}
    left join accepted on {{ equal(identity, "known", "accepted") }}
    left join latest on {{ equal(identity, "known", "latest") }}
    {% if refused %}
    left join suppressed on {{ equal(identity, "known", "suppressed") }}
    {% endif %}

),

decided as (

    select
        compared.*,
        case
            when _is_null then 'null'
            when _is_pending then 'pending'
            when _is_waiting then 'waiting'
            {% if once %}
            when _is_in_state {{ "or _is_withdrawn" if sends }} then 'same'
            {% endif %}
            when _is_in_model and _is_same and not coalesce(_is_uncertain, false) then 'same'
            when _is_in_model and _is_refused then 'refused'
            when _is_in_model and _is_uncertain then 'uncertain'
            when _is_in_model and _is_in_state then 'changed'
            when _is_in_model then 'entered'
            when not {{ "true" if removes else "false" }} then 'gone'
            when _is_refused_today then 'refused'
            when _is_in_state or _is_uncertain then 'left'
            else 'gone'
        end as _kind
    from compared

)

select
    _kind,
    case
        when _kind = 'left' then 'remove'
        when _kind in ('entered', 'changed', 'uncertain'{{ ", 'same'" if whole }}) then {{ literal(op) }}
    end as _op,
    {% if refused %}
    _kind = 'left' and (
        _is_suppressed
        {% if contact %}
        or {{ dialect.normalized("cast(" ~ quote(contact) ~ " as " ~ dialect.text ~ ")") }} in (
            select refusals.contact_point
            from ({{ refused }}) as refusals
        )
        {% endif %}
    ) as _excused,
    {% else %}
    false as _excused,
    {% endif %}
    case when _kind = 'changed' then _differing end as _note,
    _profile_id,
    {{ each(kept) }},
    {{ each(columns) }}
from decided
where _kind not in ('pending', 'gone'{{ ", 'same'" if not whole }})

union all

select
    'duplicate' as _kind,
    null as _op,
    false as _excused,
    cast(count(*) as {{ dialect.text }}) as _note,
    null as _profile_id,
    {% for name in kept %}
    null as {{ name }},
    {% endfor %}
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
        (
            select concat_ws(',', count(*) filter (where not _suppressed), count(*) filter (where _suppressed))
            from {{ audience }} as audience
        ),
        (select count(*) from today),
        {% if tail %}
        (
            select count(*)
            from ledger_side
            where not exists (select 1 from doubts where doubts._doubtful_hash = ledger_side._identity_hash)
        ),
        {% else %}
        (select count(*) from {{ ledger }} as ledger) - (select count(*) from past),
        {% endif %}
        (select count(*) from accepted)
    ) as _note,
    null as _profile_id,
    {% for name in kept %}
    null as {{ name }},
    {% endfor %}
    {% for name in columns %}
    null as {{ quote(name) }}{{ "," if not loop.last }}
    {% endfor %}
