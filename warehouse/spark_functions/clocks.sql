-- Local times and the moments at which clocks show them.
-- Made in the schema `tailrace` by Spark.prepare_functions. Statements stand apart by an empty line.

create or replace function tailrace.utc_chosen(local timestamp_ntz, zone string, first timestamp_ntz, other timestamp_ntz)
returns timestamp
-- of a time that there is twice the later: `other` has the offset of a day later
return cast(case when convert_timezone('UTC', zone, other) = local then other else first end as timestamp)

create or replace function tailrace.utc_of(local timestamp_ntz, zone string, first timestamp_ntz) returns timestamp
return tailrace.utc_chosen(
    local, zone, first,
    local - (convert_timezone('UTC', zone, first + interval '1' day) - (first + interval '1' day))
)

create or replace function tailrace.utc_time(local timestamp_ntz, zone string) returns timestamp
return tailrace.utc_of(local, zone, convert_timezone(zone, 'UTC', local))
