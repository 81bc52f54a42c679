-- Casts that may fail: the value that DuckDB's `try_cast` makes of a text, or null.
-- Made in the schema `tailrace` by Spark.prepare_functions. Statements stand apart by an empty line.

create or replace function tailrace.number_of(said string) returns string
return case
    when said rlike r'(?i)^\s*[-+]?([0-9]+(_[0-9]+)*\.?([0-9]+(_[0-9]+)*)?|\.[0-9]+(_[0-9]+)*)(e[-+]?[0-9]{1,4})?\s*$'
        then replace(said, '_', '')
end

create or replace function tailrace.try_double(said string) returns double
return case
    when said rlike r'(?i)^\s*-inf(inity)?\s*$' then double('-Infinity')
    when said rlike r'(?i)^\s*\+?inf(inity)?\s*$' then double('Infinity')
    when said rlike r'(?i)^\s*-?nan\s*$' then double('NaN')
    else try_cast(tailrace.number_of(said) as double)
end

create or replace function tailrace.try_float(said string) returns float
return cast(tailrace.try_double(said) as float)

create or replace function tailrace.try_boolean(said string) returns boolean
return case
    when lower(said) in ('true', 't', 'yes', 'y', '1') then true
    when lower(said) in ('false', 'f', 'no', 'n', '0') then false
end

create or replace function tailrace.day_of(year string, month string, day string) returns date
return case
    when try_cast(year as int) between 1 and 9999
        then try_cast(lpad(cast(try_cast(year as int) as string), 4, '0') || '-' || month || '-' || day as date)
end

create or replace function tailrace.try_date(said string) returns date
return case
    when lower(said) = 'epoch' then date '1970-01-01'
    when said like '%(BC)%' then null
    -- what stands after a date is of no account
    when said rlike r'^\s*[0-9]{1,6}([-/ \\])[0-9]{1,2}\1[0-9]{1,2}([^0-9].*)?$' then tailrace.day_of(
        regexp_extract(said, r'^\s*([0-9]+)', 1),
        regexp_extract(said, r'^\s*[0-9]+[-/ \\]([0-9]+)', 1),
        regexp_extract(said, r'^\s*[0-9]+[-/ \\][0-9]+[-/ \\]([0-9]+)', 1)
    )
end

create or replace function tailrace.moment_part(said string, part int) returns string
return regexp_extract(
    said,
    r'^\s*([0-9]{1,6})([-/ \\])([0-9]{1,2})\2([0-9]{1,2})(?:(?:T| +)([0-9]{1,2}):([0-9]{1,2})(?::([0-9]{1,2})(?:\.([0-9]*))?(?:(Z|[-+][0-9]{2}(?::?[0-9]{2}(?::[0-9]{2})?)?| [A-Za-z_]{2,}(?:/[A-Za-z0-9_+-]+)*)\s*)?)? *)?\z',
    part
)

create or replace function tailrace.time_of(day date, hour int, minute int, second int, part int) returns timestamp_ntz
return case
    when hour * 3600 + minute * 60 + second <= 86400 and minute <= 59 and second <= 59 and (hour < 24 or part = 0)
        then cast(day as timestamp_ntz)
            + make_dt_interval(0, hour, minute, cast(second as decimal(18, 6)) + cast(part as decimal(18, 6)) / 1000000)
end

create or replace function tailrace.wall_of(said string) returns timestamp_ntz
return case
    when tailrace.moment_part(said, 1) <> '' then tailrace.time_of(
        tailrace.day_of(tailrace.moment_part(said, 1), tailrace.moment_part(said, 3), tailrace.moment_part(said, 4)),
        cast('0' || tailrace.moment_part(said, 5) as int),
        cast('0' || tailrace.moment_part(said, 6) as int),
        cast('0' || tailrace.moment_part(said, 7) as int),
        cast(rpad(tailrace.moment_part(said, 8), 6, '0') as int)
    )
end

create or replace function tailrace.try_timestamp_ntz(said string) returns timestamp_ntz
return case
    when lower(said) = 'epoch' then timestamp_ntz '1970-01-01 00:00:00'
    when tailrace.moment_part(said, 9) like ' %' and tailrace.moment_part(said, 9) <> ' UTC' then null
    else tailrace.wall_of(said)
end

create or replace function tailrace.offset_of(zone string) returns interval day to second
return make_dt_interval(
    0,
    cast(substring(zone, 1, 3) as int),
    cast(substring(zone, 1, 1) || substring(rpad(replace(zone, ':', ''), 7, '0'), 4, 2) as int),
    cast(substring(zone, 1, 1) || substring(rpad(replace(zone, ':', ''), 7, '0'), 6, 2) as decimal(18, 6))
)

create or replace function tailrace.moment_of(wall timestamp_ntz, zone string) returns timestamp
return case
    when zone in ('', 'Z', ' UTC') then cast(wall as timestamp)
    when zone not like ' %' then cast(wall - tailrace.offset_of(zone) as timestamp)
    -- what a function is given is worked out first, whatever the case is: it must be a zone
    when try_cast('2024-01-01 00:00:00' || zone as timestamp) is not null then tailrace.utc_time(
        wall,
        case when try_cast('2024-01-01 00:00:00' || nullif(zone, '') as timestamp) is not null and zone like ' %' then trim(zone) else 'UTC' end
    )
end

create or replace function tailrace.try_timestamp(said string) returns timestamp
return case
    -- what nearly all are: days that every month has
    when
        said rlike r'^[1-9][0-9]{3}-(?:0[1-9]|1[0-2])-(?:0[1-9]|1[0-9]|2[0-8])[T ](?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:\.[0-9]{1,6})?(?:Z|[-+](?:0[0-9]|1[0-4]):[0-5][0-9])\z'
        then try_cast(said as timestamp)
    when lower(said) = 'epoch' then timestamp '1970-01-01 00:00:00Z'
    else tailrace.moment_of(tailrace.wall_of(said), tailrace.moment_part(said, 9))
end
