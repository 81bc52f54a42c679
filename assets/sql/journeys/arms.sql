-- The first arm of a branch that holds, one row a run that has one.
select
    stepping.r,
    min(arm.place) as place
from stepping
inner join runner on stepping.r = runner.r
inner join program_arm as arm on stepping.n = arm.n
{% if has_branch_segments %}
left join alias
    on
        runner.unit_id = alias.profile_id
        and stepping.at_time >= alias.from_at
        and stepping.at_time < alias.to_at
left join member_stay as stay
    on
        arm.segment = stay.segment
        and coalesce(alias.root_id, runner.unit_id) = stay.profile_id
        and stepping.at_time >= stay.from_at
        and stepping.at_time < stay.to_at
{% endif %}
{% if properties %}
left join run_property as property on stepping.r = property.r and arm.property = property.name
left join program_value as allowed
    on
        arm.n = allowed.n
        and arm.place = allowed.place
        and (property.value = allowed.value or property.number = allowed.number)
{% endif %}
where
    stepping.kind = 'branch'
    and (
        {% if has_branch_segments %}
        stay.profile_id is not null
        {% else %}
        false
        {% endif %}
        {% if properties %}
        or (
            property.value is not null
            and (not arm.has_values or allowed.value is not null)
            and (arm.at_least is null or property.number >= arm.at_least)
            and (arm.less_than is null or property.number < arm.less_than)
        )
        {% endif %}
    )
group by stepping.r
