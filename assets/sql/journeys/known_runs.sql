-- The runs that may move: their person was touched, their wait is over, or their journey was published anew. Numbered
-- after those that may enter.
{% if has_touched %}
with

units as (
    select person as unit_id
    from touched

    union all

    select alias.profile_id as unit_id
    from alias
    where alias.to_at = {{ literal(forever) }} and alias.root_id in (select touched.person from touched)
)

{% endif %}
select
    {{ entered }} + {{ dialect.numbered }} as r,
    run.run_id,
    run.journey,
    run.version as entry_version,
    run.unit_id,
    coalesce(alias.root_id, run.unit_id) as person,
    run.entered_at,
    run.entry_key,
    {% if needs_cause %}
    run.cause,
    {% else %}
    cast(null as {{ dialect.text }}) as cause,
    {% endif %}
    {% if needs_properties %}
    run.properties,
    {% else %}
    cast(null as {{ dialect.text }}) as properties,
    {% endif %}
    cast(false as boolean) as is_new,
    cast(null as integer) as entry_pv,
    run.arm
from tailrace.journey_run as run
left join alias on run.unit_id = alias.profile_id and alias.to_at = {{ literal(forever) }}
where
    run.journey in (select version.journey from program_version as version where version.is_ticked)
    and (
        {% if has_touched %}
        run.unit_id in (select units.unit_id from units)
        {% endif %}
        {% if has_due %}
        {{ "or" if has_touched }} run.run_id in (select due_run.run_id from due_run)
        {% endif %}
        {% if published %}
        {{ "or" if has_touched or has_due }} run.journey in ({{ published }})
        {% endif %}
    )
