-- Casts that may fail: the value that DuckDB's `try_cast` makes of a text, or null. What the dialect and dbt's macros
-- call is named `try_`; the others are the parts of days and moments.
-- Made in the schema `tailrace` by Postgres.prepare_functions. Statements stand apart by an empty line.
-- A block for exceptions opens a subtransaction, which no parallel worker may; where the common values need none, it is
-- behind a test.

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

create or replace function tailrace.try_float(said text) returns real
language plpgsql immutable strict parallel unsafe as $$
declare
    number double precision := tailrace.try_double(said);
begin
    return case
        when number = 'NaN' then 'NaN'
        when abs(number) >= 3.4028235677973366e38 then sign(number) * cast('Infinity' as double precision)
        when abs(number) <= 7.006492321624085e-46 then number * 0  -- which keeps its sign
        else number
    end;
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

create or replace function tailrace.try_time(said text) returns time
language sql immutable strict parallel safe as $$
    select case
        when said ~ '^\s*([01]?[0-9]|2[0-3]):' then cast(tailrace.try_timestamp('1970-01-01 ' || ltrim(said)) as time)
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

create or replace function tailrace.try_any(said text, kind anyelement) returns anyelement
language plpgsql immutable parallel unsafe as $$
begin
    -- what PostgreSQL reads as this type; `kind` is a null of it
    kind := said;
    return kind;
exception when data_exception or integrity_constraint_violation then
    return null;
end
$$;
