-- JSON that is read: what is under a key or at a path, as JSON or as text; its keys; whether a text is JSON at all.
-- Made in the schema `tailrace` by Postgres.prepare_functions. Statements stand apart by an empty line.
-- A block for exceptions opens a subtransaction, which no parallel worker may; where the common values need none, it is
-- behind a test.

create or replace function tailrace.json_said(document json) returns text
language plpgsql immutable strict parallel unsafe as $$
declare
    said text := document;
begin
    case left(said, 1)
        when '"' then
            return case
                when strpos(said, '\') = 0 then substr(said, 2, length(said) - 2)
                else document #>> '{}'
            end;
        when 't', 'f' then
            return said;
        when 'n' then
            return null;
        when '{', '[' then
            return tailrace.json_minified(document);
        else
            return tailrace.json_number(said);
    end case;
end
$$;

create or replace function tailrace.json_at(said text, key text) returns json
language plpgsql immutable strict parallel safe as $$
declare
    quoted text := '"' || key || '"';
    member record;
begin
    if strpos(said, '\u0000') > 0 then
        said := tailrace.json_without_nul(said);
    end if;
    -- of a key that there is twice DuckDB takes the first, `->` the last
    if octet_length(replace(said, quoted, '')) < octet_length(said) - octet_length(quoted) then
        if json_typeof(cast(said as json)) = 'object' then
            for member in select * from json_each(cast(said as json)) loop
                if member.key = json_at.key then
                    return member.value;
                end if;
            end loop;
        end if;
        return null;
    end if;
    return cast(said as json) -> key;
end
$$;

create or replace function tailrace.json_text(said text, key text) returns text
language plpgsql immutable strict parallel unsafe as $$
declare
    value text := tailrace.json_at(said, key);
begin
    if left(value, 1) = '"' and strpos(value, '\') = 0 then
        return substr(value, 2, length(value) - 2);
    end if;
    return tailrace.json_said(cast(value as json));
end
$$;

create or replace function tailrace.json_text(said text, variadic path text []) returns text
language plpgsql immutable strict parallel unsafe as $$
declare
    step text;
begin
    said := btrim(tailrace.json_without_nul(said), E' \t\n\r');
    foreach step in array path loop
        if left(said, 1) <> '[' then
            said := tailrace.json_at(said, step);
        else  -- keys of lists are given as `[n]`
            said := case
                when step ~ '^\[-?[0-9]+\]$' then cast(said as json) -> cast(btrim(step, '[]') as integer)
            end;
        end if;
    end loop;
    return tailrace.json_said(cast(said as json));
end
$$;

create or replace function tailrace.json_valid(said text) returns boolean
language plpgsql immutable strict parallel unsafe as $$
begin
    perform cast(tailrace.json_without_nul(said) as jsonb);  -- of surrogates, `json` takes half a pair
    return true;
exception when data_exception or program_limit_exceeded then
    return false;
end
$$;

create or replace function tailrace.json_keys(said text) returns setof text
language sql immutable strict parallel safe as $$
    select json_object_keys(document)
    from (select cast(tailrace.json_without_nul(said) as json) as document) as parsed
    where json_typeof(document) = 'object'
$$;
