-- What the statements of a diff have in common.
{% macro position(relation) %}
{{ relation }}._epoch * {{ epoch_size }} + {{ relation }}._seq
{% endmacro %}
{% macro accepted_hash() %}
case when _outcome = 'accepted' and _op <> 'remove' and not _uncast then {{ row_hash }} end
{% endmacro %}
{% macro each(names, before="", between=", ") %}
{% for name in names %}{{ before }}{{ quote(name) }}{{ between if not loop.last }}{% endfor %}
{% endmacro %}
{% macro equal(names, left, right) %}
{% for name in names %}{{ left }}.{{ quote(name) }} = {{ right }}.{{ quote(name) }}{{ " and " if not loop.last }}{% endfor %}
{% endmacro %}
{% macro same(right) %}
{% for name in columns %}today.{{ quote(name) }} is not distinct from {{ right }}.{{ quote(name) }}{{ " and " if not loop.last }}{% endfor %}
{% endmacro %}
