-- JSON that is made: a value of each type as a member of an object, and two documents merged as RFC 7396 says.
-- Made in the schema `tailrace` by Postgres.prepare_functions. Statements stand apart by an empty line.

create or replace function tailrace.json_merged(document text, patch json) returns text
language plpgsql immutable parallel unsafe as $$
declare
    merged text := '';
    member record;
    is_object boolean := coalesce(json_typeof(cast(document as json)) = 'object', false);
begin
    if json_typeof(patch) <> 'object' then
        return tailrace.json_minified(patch);
    end if;
    if is_object then
        for member in select * from json_each(cast(document as json)) loop
            if tailrace.json_at(cast(patch as text), member.key) is null then
                merged := merged || ',' || tailrace.json_quoted(member.key) || ':' || tailrace.json_minified(member.value);
            end if;
        end loop;
    end if;
    for member in select * from json_each(patch) loop
        continue when json_typeof(member.value) = 'null';
        merged := merged || ',' || tailrace.json_quoted(member.key) || ':'
            || tailrace.json_merged(
                case when is_object then cast(tailrace.json_at(document, member.key) as text) end, member.value
            );
    end loop;
    return '{' || substr(merged, 2) || '}';
end
$$;

create or replace function tailrace.json_merge(first text, second text) returns text
language plpgsql immutable parallel unsafe as $$
begin
    if first is null or second is null then
        return coalesce(first, second);
    elsif json_typeof(cast(first as json)) <> 'object' then  -- DuckDB gives the other as it is
        return tailrace.json_minified(cast(tailrace.json_without_nul(second) as json));
    end if;
    return tailrace.json_merged(tailrace.json_without_nul(first), cast(tailrace.json_without_nul(second) as json));
end
$$;

create or replace function tailrace.json_of(value text) returns text
language sql immutable parallel safe as $$ select coalesce(tailrace.json_quoted(value), 'null') $$;

create or replace function tailrace.json_of(value boolean) returns text
language sql immutable parallel safe as $$ select coalesce(cast(value as text), 'null') $$;

create or replace function tailrace.json_of(value smallint) returns text
language sql immutable parallel safe as $$ select coalesce(cast(value as text), 'null') $$;

create or replace function tailrace.json_of(value integer) returns text
language sql immutable parallel safe as $$ select coalesce(cast(value as text), 'null') $$;

create or replace function tailrace.json_of(value bigint) returns text
language sql immutable parallel safe as $$ select coalesce(cast(value as text), 'null') $$;

create or replace function tailrace.json_of(value numeric) returns text
language sql immutable parallel safe as $$ select coalesce(cast(value as text), 'null') $$;

create or replace function tailrace.json_of(value double precision) returns text
language sql immutable parallel safe as $$ select coalesce(tailrace.json_real(value), 'null') $$;

create or replace function tailrace.json_of(value date) returns text
language sql immutable parallel safe as $$ select coalesce('"' || to_char(value, 'YYYY-MM-DD') || '"', 'null') $$;

create or replace function tailrace.json_of(value timestamp) returns text
language sql immutable parallel safe as $$
    select coalesce(
        '"' || to_char(value, 'YYYY-MM-DD HH24:MI:SS')
        || rtrim(rtrim(to_char(value, '.US'), '0'), '.') || '"', 'null'
    )
$$;

create or replace function tailrace.json_of(value timestamptz) returns text
language sql immutable parallel safe as $$
    select coalesce(rtrim(tailrace.json_of(timezone('UTC', value)), '"') || '+00"', 'null')
$$;

create or replace function tailrace.json_of(value json) returns text
language sql immutable parallel unsafe as $$ select coalesce(tailrace.json_minified(value), 'null') $$;

create or replace function tailrace.json_of(value anyarray) returns text
language sql stable parallel safe as $$ select coalesce(cast(to_json(value) as text), 'null') $$;
