attach {{ literal(path) }} as aside;
{% for name, relation in changed.items() %}
create or replace table aside.main.{{ quote(name) }} as select * from {{ relation }};
{% endfor %}
{% for name in gone %}
drop table if exists aside.main.{{ quote(name) }};
{% endfor %}
create or replace table aside.main.{{ state }} (name varchar, digest varchar);
{% for name, digest in digests.items() %}
insert into aside.main.{{ state }} values ({{ literal(name) }}, {{ literal(digest) }});
{% endfor %}
checkpoint aside;
detach aside;
