-- One row a journey that moved; one without a name where none could.
select
    moving.journey,
    {% for name, value in tick.items() %}
    {{ literal(value) }} as {{ name }}{{ "," if not loop.last }}
    {% endfor %}
from (
    select distinct version.journey
    from program_version as version
    where version.is_ticked

    union all

    select '' as journey
    where not exists (select 1 from program_version as version where version.is_ticked)
) as moving
