-- JSON: what is one, what is under a key, and values as DuckDB spells them in an object.
-- Made in the schema `tailrace` by Spark.prepare_functions. Statements stand apart by an empty line.

create or replace function tailrace.json_valid(said string) returns boolean
-- what follows a value is not read: so it stands in a list, and what was put after it must be second there
return case
    when said is not null then
        coalesce(try_variant_get(try_parse_json('[' || said || ',"after it"]'), '$[1]', 'string') = 'after it', false)
end

create or replace function tailrace.json_quoted(said string) returns string
return substring(to_json(array(said)), 2, length(to_json(array(said))) - 2)

create or replace function tailrace.json_plain(digits string) returns string
return case when digits like '%.' then digits || '0' else digits end

create or replace function tailrace.json_real(said string) returns string
-- tried, for what another function is given is worked out first, whatever the case is
return case
    when said in ('NaN', 'Infinity', '-Infinity') or said not like '%E%' then said
    when abs(try_cast(said as double)) >= 1e21 or abs(try_cast(said as double)) < 1e-6 then lower(replace(said, '.0E', 'E'))
    when abs(try_cast(said as double)) >= 1 then tailrace.json_plain(rtrim('0', cast(try_cast(said as decimal(38, 16)) as string)))
    else rtrim('0', cast(try_cast(said as decimal(38, 30)) as string))
end

create or replace function tailrace.json_of(kind string, said string, listed string) returns string
return case
    when said is null then 'null'
    when kind = 'string' then tailrace.json_quoted(said)
    when kind like 'struct<json:string>' then substring(said, 2, length(said) - 2)  -- it is JSON as it is
    when kind in ('double', 'float') then tailrace.json_real(said)
    when kind = 'date' or kind = 'timestamp_ntz' then '"' || said || '"'
    when kind = 'timestamp' then '"' || said || '+00"'
    when kind like 'array%' then substring(listed, 2, length(listed) - 2)
    else said
end

create or replace function tailrace.json_raw(said string, found variant) returns string
return case
    when schema_of_variant(found) = 'STRING' then tailrace.json_quoted(said)
    when said rlike '^-?[0-9.]+E' then tailrace.json_real(said)
    when said rlike r'\\uD[89AB]' then to_json(found)  -- signs that are two in Java stand as they are
    else coalesce(said, 'null')
end

create or replace function tailrace.json_at(said string, path string) returns struct<json: string>
return named_struct(
    'json', tailrace.json_raw(get_json_object(said, path), try_variant_get(try_parse_json(said), path, 'variant'))
)

create or replace function tailrace.json_minified(said string) returns string
return coalesce(get_json_object(said, '$'), 'null')

create or replace function tailrace.json_united(
    first string, first_values map<string, variant>, second string, second_values map<string, variant>
) returns string
-- members in DuckDB's order: those that only the first has, then the second's; what is null there goes
return '{' || array_join(
    concat(
        transform(
            filter(array_distinct(json_object_keys(first)), key -> not map_contains_key(second_values, key)),
            key -> substring(to_json(array(key)), 2, length(to_json(array(key))) - 2) || ':' || case
                when schema_of_variant(first_values[key]) rlike '^(STRING|BOOLEAN|VOID)' then to_json(first_values[key])
                -- as it is written: to_json makes 1 of 1.0
                else coalesce(
                    get_json_object(first, case when key rlike r'[.\[]' then '$[\'' || key || '\']' else '$.' || key end),
                    to_json(first_values[key])
                )
            end
        ),
        transform(
            filter(array_distinct(json_object_keys(second)), key -> schema_of_variant(second_values[key]) <> 'VOID'),
            key -> substring(to_json(array(key)), 2, length(to_json(array(key))) - 2) || ':' || case
                when schema_of_variant(second_values[key]) rlike '^(STRING|BOOLEAN|VOID)' then to_json(second_values[key])
                -- as it is written: to_json makes 1 of 1.0
                else coalesce(
                    get_json_object(second, case when key rlike r'[.\[]' then '$[\'' || key || '\']' else '$.' || key end),
                    to_json(second_values[key])
                )
            end
        )
    ), ','
) || '}'

create or replace function tailrace.json_merge(first string, second string) returns string
return case
    when first is null or second is null then coalesce(first, second)
    when json_object_keys(first) is null or json_object_keys(second) is null then tailrace.json_minified(second)
    else tailrace.json_united(
        first, from_json(first, 'map<string, variant>'), second, from_json(second, 'map<string, variant>')
    )
end
