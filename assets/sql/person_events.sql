-- The last events of a person, newest first: those in which a template's variables are looked for.
select events.properties
from main.events as events
inner join main.profile_map as people
    on
        (people.identifier_type = 'email' and people.identifier = {{ dialect.normalized("events.email") }})
        or (people.identifier_type = 'user_id' and people.identifier = events.user_id)
where people.profile_id = {{ literal(profile) }}
order by events.occurred_at desc
limit {{ most }}
