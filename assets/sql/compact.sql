-- A ledger without its past: of every identity the accepted row, and what is unresolved since; and the last row of all,
-- for where a ledger ends is what a plan was made of
{% macro equal(left, right) %}
{% for name in identity %}{{ left }}.{{ quote(name) }} = {{ right }}.{{ quote(name) }}{{ " and " if not loop.last }}{% endfor %}
{% endmacro %}
{% macro each() %}
{% for name in identity %}{{ quote(name) }}{{ ", " if not loop.last }}{% endfor %}
{% endmacro %}
with

ledger as (

{{ ledger }}

),

numbered as (

    select
        ledger.*,
        row_number() over (
            partition by {{ each() }}
            order by _epoch, _seq
        ) as _position
    from ledger

),

ending as (

    select
        _epoch,
        max(_seq) as _seq
    from ledger
    where _epoch = (select max(_epoch) from ledger)
    group by _epoch

),

standing as (

    select
        {{ each() }},
        max(_position) as _last_position,
        coalesce(max(case when _outcome = 'accepted' then _position end), 0) as _accepted_position
    from numbered
    group by {{ each() }}

)

select
    {% for name in columns %}
    numbered.{{ quote(name) }}{{ "," if not loop.last }}
    {% endfor %}
from numbered
inner join standing on {{ equal("numbered", "standing") }}
cross join ending
where
    (numbered._epoch = ending._epoch and numbered._seq = ending._seq)
    or (numbered._position = standing._accepted_position and numbered._op <> 'remove')
    or (numbered._position > standing._accepted_position and numbered._outcome = 'unknown')
    or (
        numbered._position = standing._last_position
        and numbered._outcome in ('rejected', 'pending', 'withdrawn')
    )
