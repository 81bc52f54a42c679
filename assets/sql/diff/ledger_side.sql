-- What the vendor was last told where some of it came since the compaction (`tail`), reduced to hashes.
{% from "diff/macros.sql" import accepted_hash, each, position with context %}
with

tail_side as (

    select
        {{ each(identity) }},
        {{ identity_hash }} as _identity_hash,
        {{ position("ledger") }} as _position,
        {{ accepted_hash() }} as _row_hash
    from {{ tail }} as ledger

),

-- of an identity that has rows since the compaction, only the last counts; a hash that several share is doubted
tail_last as (

    select
        {% for name in identity %}
        min({{ quote(name) }}) as {{ quote("_least_" ~ name) }},
        {% endfor %}
        {% for name in identity %}
        min({{ quote(name) }}) < max({{ quote(name) }}) {{ "or" if not loop.last else "as _is_shared," }}
        {% endfor %}
        _identity_hash,
        max(_position) as _position
    from tail_side
    group by _identity_hash

)

select
    {{ identity_hash }} as _identity_hash,
    {{ accepted_hash() }} as _row_hash
from {{ base }} as ledger
left join tail_last on {{ identity_hash }} = tail_last._identity_hash
where
    tail_last._identity_hash is null
    {% for name in identity %}
    or {{ quote(name) }} <> {{ quote("_least_" ~ name) }}
    {% endfor %}

union all

select
    tail_side._identity_hash,
    case when not tail_last._is_shared then tail_side._row_hash end as _row_hash
from tail_side
inner join tail_last
    on tail_side._identity_hash = tail_last._identity_hash and tail_side._position = tail_last._position
