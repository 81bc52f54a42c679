-- Whose these identifiers are, of whatever type, as written or in any case; a phone number also as it was once written.
select distinct
    found.identifier_type,
    found.profile_id
from {{ kept }}.profile_map as found
where
    {% for kind, identifier in wanted %}
    {% if any_case %}
    (found.identifier_type = {{ literal(kind) }} and lower(found.identifier) = lower({{ literal(identifier) }})) or
    {% else %}
    (found.identifier_type = {{ literal(kind) }} and found.identifier = {{ literal(identifier) }}) or
    {% endif %}
    {% endfor %}
    (
        found.identifier_type = 'phone'
        and found.identifier in (
            select phone.identifier
            from {{ kept }}.phone as phone
            where phone.written = {{ literal(written) }}
        )
    )
