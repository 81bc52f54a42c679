-- Everyone the model holds, with the columns that are sent; those without consent are marked, not left out.
-- One row a row of the model. `_contact` is the contact point itself: it is hashed when it leaves the warehouse.
select
    {% for column in columns %}
    cast({{ column.expression }} as {{ dialect.kind(column.kind) }}) as {{ quote(column.name) }},
    {% endfor %}
    cast({{ profile_id }} as {{ dialect.text }}) as _profile_id,
    cast({{ contact }} as {{ dialect.text }}) as _contact,
    {% for name in carried %}
    model.{{ name }},
    {% endfor %}
    {% if is_transactional %}
    forbidden.contact_point is not null or {{ contact }} is null as _suppressed
    {% elif purpose %}
    allowed.contact_point is null as _suppressed
    {% else %}
    false as _suppressed
    {% endif %}
from {{ source }} as model
{% if profiles %}
left join {{ profiles }} as profiles on profiles.profile_id = model.profile_id
{% endif %}
{% if is_transactional %}
left join (
    select distinct {{ dialect.normalized("contact_point") }} as contact_point
    from {{ consent }}
    where suppressed
) as forbidden on forbidden.contact_point = {{ contact }}
{% elif purpose %}
left join (
    select {{ "profile_id, " if by_profile }}{{ dialect.normalized("contact_point") }} as contact_point
    from {{ consent }}
    where purpose = {{ literal(purpose) }}
    group by {{ "profile_id, " if by_profile }}{{ dialect.normalized("contact_point") }}
    having bool_and(granted and not suppressed)
) as allowed
    on {{ "allowed.profile_id = model.profile_id and " if by_profile }}allowed.contact_point = {{ contact }}
{% endif %}
