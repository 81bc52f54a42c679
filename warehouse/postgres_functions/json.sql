-- How JSON is spelled: byte for byte as DuckDB spells it, and without U+0000, which no text has here.
-- What json_made.sql and json_read.sql are made of; nothing else calls these.
-- Made in the schema `tailrace` by Postgres.prepare_functions. Statements stand apart by an empty line.
-- A block for exceptions opens a subtransaction, which no parallel worker may; where the common values need none, it is
-- behind a test.

create or replace function tailrace.json_without_nul(said text) returns text
language sql immutable strict parallel safe as $$
    -- text has no U+0000 here, and the parser refuses a document for one such escape: it is read as U+FFFD
    select case
        when strpos(said, '\u0000') = 0 then said
        else regexp_replace(said, '(?<!\\)((?:\\\\)*)\\u0000', '\1\\ufffd', 'g')
    end
$$;

create or replace function tailrace.json_quoted(said text) returns text
language plpgsql immutable strict parallel safe as $$
declare
    quoted text := cast(to_json(said) as text);
    code text;
begin
    if strpos(quoted, '\u00') > 0 then  -- control characters: DuckDB writes their hexadecimal digits large
        foreach code in array array['0b', '0e', '0f', '1a', '1b', '1c', '1d', '1e', '1f'] loop
            quoted := regexp_replace(quoted, '(?<!\\)((?:\\\\)*)\\u00' || code, '\1\\u00' || upper(code), 'g');
        end loop;
    end if;
    return quoted;
end
$$;

create or replace function tailrace.json_real(number double precision) returns text
language plpgsql immutable strict parallel safe as $$
declare
    size double precision := abs(number);
    digits text := cast(number as text);
    pattern text;
    shorter text;
begin
    if length(digits) > 16 and size < 1e308 then
        -- a spelling that lies just between two numbers is not shown here, and of two as near not always the shorter
        foreach pattern in array array['9.99999999999999EEEE', '9.999999999999999EEEE'] loop
            shorter := regexp_replace(btrim(to_char(number, pattern)), '\.?0*e', 'e');
            if cast(shorter as double precision) = number then
                digits := shorter;
                exit;
            end if;
        end loop;
    end if;
    if size = 'Infinity' or size = 'NaN' then
        return digits;
    elsif size = 0 then
        return case when digits = '-0' then '-0.0' else '0.0' end;
    elsif size >= 1e21 or size < 1e-6 then
        return regexp_replace(digits, 'e([-+])0*', case when size < 1 then 'e-' else 'e' end);
    end if;
    digits := cast(trim_scale(cast(digits as numeric)) as text);
    return case when strpos(digits, '.') > 0 then digits else digits || '.0' end;
end
$$;

create or replace function tailrace.json_number(said text) returns text
language plpgsql immutable strict parallel unsafe as $$
begin
    if said ~ '^-?[0-9]+$' then
        return case when said = '-0' then '0' else said end;
    end if;
    begin
        return tailrace.json_real(cast(said as double precision));
    exception when numeric_value_out_of_range then
        return case when said ~* 'e-' then case when said like '-%' then '-0.0' else '0.0' end else said end;
    end;
end
$$;

create or replace function tailrace.json_minified(document json) returns text
language plpgsql immutable strict parallel unsafe as $$
declare
    said text := document;
begin
    -- nearly all are written so already: no spaces, nothing escaped, no number that has a shorter spelling
    if
        said ~ '^(?:[{}\[\]:,]|"[^"\\]*"|true|false|null|(?:0|-?[1-9][0-9]*|-?(?:0|[1-9][0-9]{0,8})\.(?:[0-9]{0,4}[1-9]|0))[]},])*$'
    then
        return said;
    end if;
    return (
        select
            string_agg(
                case
                    when left(token[1], 1) = '"' and strpos(token[1], '\') > 0
                        then tailrace.json_quoted(cast(token[1] as json) #>> '{}')
                    when token[1] ~ '^[-0-9]' then tailrace.json_number(token[1])
                    else token[1]
                end, '' order by place
            )
        from regexp_matches(said, '"(?:[^"\\]|\\.)*"|[-+.0-9eE]+|[a-z]+|[{}\[\]:,]', 'g') with ordinality
            as found (token, place)
    );
end
$$;
