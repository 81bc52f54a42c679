-- What PostgreSQL 15 has no function for, with DuckDB's answers; in the schema `tailrace`, made by Postgres.prepare.
-- Statements stand apart by an empty line. Those with a block for exceptions open a subtransaction, which
-- no parallel worker may; where the common values need none, the block is behind a test.

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
    shorter text;
begin
    if length(digits) > 17 and size < 1e308 then  -- of two spellings as near, the shorter is not always shown
        shorter := regexp_replace(btrim(to_char(number, '9.999999999999999EEEE')), '\.?0*e', 'e');
        if cast(shorter as double precision) = number then
            digits := shorter;
        end if;
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

create or replace function tailrace.try_boolean(said text) returns boolean
language sql immutable strict parallel safe as $$
    select case lower(said)
        when 'true' then true when 't' then true when 'yes' then true when 'y' then true when '1' then true
        when 'false' then false when 'f' then false when 'no' then false when 'n' then false when '0' then false
    end
$$;

create or replace function tailrace.try_number(said text) returns numeric
language plpgsql immutable strict parallel safe as $$
begin
    -- no number of more than four digits is an exponent here: it would be null, or nothing, in any type
    if said ~* '^\s*[-+]?([0-9]+(_[0-9]+)*\.?([0-9]+(_[0-9]+)*)?|\.[0-9]+(_[0-9]+)*)(e[-+]?[0-9]{1,4})?\s*$' then
        return cast(replace(said, '_', '') as numeric);
    end if;
    return null;
end
$$;

create or replace function tailrace.try_whole(said text, lowest bigint, highest bigint) returns bigint
language plpgsql immutable strict parallel safe as $$
declare
    number numeric;
begin
    number := case
        when said ~ '^-?[0-9]{1,18}$' then cast(said as numeric)
        else round(tailrace.try_number(said))
    end;
    return case when number between lowest and highest then cast(number as bigint) end;
end
$$;

create or replace function tailrace.try_decimal(said text, digits integer, scale integer) returns numeric
language plpgsql immutable strict parallel safe as $$
declare
    number numeric := round(tailrace.try_number(said), scale);
begin
    return case when abs(number) < cast(10 as numeric) ^ (digits - scale) then number end;
end
$$;

create or replace function tailrace.try_double(said text) returns double precision
language plpgsql immutable strict parallel unsafe as $$
begin
    if length(said) < 200 and said ~ '^-?[0-9]+(\.[0-9]+)?$' or said ~* '^\s*[-+]?inf(inity)?\s*$' then
        return cast(said as double precision);
    elsif said ~* '^\s*-?nan\s*$' then
        return 'NaN';
    elsif said ~* '^\s*[-+]?([0-9]+(_[0-9]+)*\.?([0-9]+(_[0-9]+)*)?|\.[0-9]+(_[0-9]+)*)(e[-+]?[0-9]+(_[0-9]+)*)?\s*$' then
        begin
            return cast(replace(said, '_', '') as double precision);
        exception when numeric_value_out_of_range then  -- too large, or too near to nothing
            return case when said ~ '^\s*-' then '-' else '' end
                || case when said ~* 'e-|^\s*[-+]?0*\.' then '0' else 'Infinity' end;
        end;
    end if;
    return null;
end
$$;

create or replace function tailrace.day_of(parts text []) returns date
language plpgsql immutable strict parallel safe as $$
declare
    year integer := parts[1];
    month integer := parts[3];
    day integer := parts[5];
    is_leap boolean := year % 4 = 0 and (year % 100 <> 0 or year % 400 = 0);
begin
    if
        parts[2] = parts[4] and year between 1 and 294246 and month between 1 and 12 and day >= 1
        and day <= (case when month <> 2 then 30 + (month + month / 8) % 2 when is_leap then 29 else 28 end)
    then
        return make_date(year, month, day);
    end if;
    return null;
end
$$;

create or replace function tailrace.try_date(said text) returns date
language plpgsql immutable strict parallel safe as $$
begin
    if said ~ '^[1-9][0-9]{3}-(?:0[1-9]|1[0-2])-(?:0[1-9]|1[0-9]|2[0-8])$' then
        return cast(said as date);
    elsif lower(said) = 'epoch' then
        return date '1970-01-01';
    elsif strpos(said, '(BC)') > 0 then
        return null;
    end if;
    -- what stands after a date is of no account
    return tailrace.day_of(
        regexp_match(said, '^\s*([0-9]{1,6})([-/ \\])([0-9]{1,2})([-/ \\])([0-9]{1,2})(?:[^0-9]|$)')
    );
end
$$;

create or replace function tailrace.moment_parts(said text) returns text []
language plpgsql immutable strict parallel safe as $$
begin
    -- year, sign, month, sign, day, hour, minute, second, part of a second, zone
    return regexp_match(
        said,
        '^\s*([0-9]{1,6})([-/ \\])([0-9]{1,2})([-/ \\])([0-9]{1,2})(?:(?:T| +)([0-9]{1,2}):([0-9]{1,2})'
        '(?::([0-9]{1,2})(?:\.([0-9]*))?'
        '(Z|[-+][0-9]{2}(?::?[0-9]{2}(?::[0-9]{2})?)?| [A-Za-z_]{2,}(?:/[A-Za-z0-9_+-]+)*)?)? *)?$'
    );
end
$$;

create or replace function tailrace.time_of(parts text []) returns timestamp
language plpgsql immutable strict parallel safe as $$
declare
    day date := tailrace.day_of(parts);
    hour integer := coalesce(parts[6], '0');
    minute integer := coalesce(parts[7], '0');
    second integer := coalesce(parts[8], '0');
    part integer := left(rpad(coalesce(parts[9], ''), 6, '0'), 6);
begin
    if hour * 3600 + minute * 60 + second > 86400 or minute > 59 or second > 59 or hour = 24 and part > 0 then
        return null;
    end if;
    return cast(day as timestamp) + make_interval(hours => hour, mins => minute, secs => second)
        + part * interval '1 microsecond';
end
$$;

create or replace function tailrace.try_timestamp(said text) returns timestamp
language plpgsql immutable strict parallel safe as $$
declare
    parts text [] := tailrace.moment_parts(said);
begin
    if lower(said) = 'epoch' then
        return timestamp '1970-01-01';
    elsif parts[10] like ' %' and parts[10] <> ' UTC' then
        return null;
    end if;
    return tailrace.time_of(parts);
end
$$;

create or replace function tailrace.try_timestamptz(said text) returns timestamptz
language plpgsql immutable strict parallel unsafe as $$
declare
    parts text [];
    zone text;
begin
    -- what nearly all are: days that every month has
    if
        said ~ '^[1-9][0-9]{3}-(?:0[1-9]|1[0-2])-(?:0[1-9]|1[0-9]|2[0-8])[T ](?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:\.[0-9]{1,6})?(?:Z|[-+](?:0[0-9]|1[0-4]):[0-5][0-9])$'
    then
        return cast(said as timestamptz);
    elsif lower(said) = 'epoch' then
        return timestamptz '1970-01-01 00:00:00+00';
    end if;
    parts := tailrace.moment_parts(said);
    zone := coalesce(parts[10], 'Z');
    if zone = 'Z' then
        return timezone('UTC', tailrace.time_of(parts));
    elsif zone like ' %' then
        begin
            return timezone(ltrim(zone), tailrace.time_of(parts));
        exception when invalid_parameter_value then
            return null;
        end;
    end if;
    parts[10] := rpad(translate(zone, ':', ''), 7, '0');
    return timezone('UTC', tailrace.time_of(parts)) - cast(left(zone, 1) || '1' as integer) * make_interval(
        hours => cast(substr(parts[10], 2, 2) as integer),
        mins => cast(substr(parts[10], 4, 2) as integer),
        secs => cast(substr(parts[10], 6, 2) as integer)
    );
end
$$;
