attach {{ literal(path) }} as aside;
{% for name, relation in changed.items() %}
create or replace table aside.main.{{ quote(name) }} as select * from {{ relation }};
{% endfor %}
{% for name in gone %}
drop table if exists aside.main.{{ quote(name) }};
{% endfor %}
create or replace table aside.main.{{ state }} (name varchar, digest varchar);
insert into aside.main.{{ state }} values
{% for name, digest in digests.items() %}
({{ literal(name) }}, {{ literal(digest) }}){{ ";" if loop.last else "," }}
{% endfor %}
checkpoint aside;
detach aside;
