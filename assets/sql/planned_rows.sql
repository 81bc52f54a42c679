-- The operations of the plan, numbered as they leave: removes first.
select
    {{ literal(run_id) }} as _run_id,
    row_number() over (
        order by
            case when _op = 'remove' then 0 else 1 end,
            {% for name in identity %}
            {{ quote(name) }}{{ "," if not loop.last }}
            {% endfor %}
    ) - 1 as _row,
    _op,
    _profile_id,
    {{ send_key }} as _send_key,
    {{ contact }} as _contact,
    {% for name in carried %}
    {{ name }},
    {% endfor %}
    {% for name in columns %}
    {{ quote(name) }}{{ "," if not loop.last }}
    {% endfor %}
from {{ rows }}
where {{ operations }}
