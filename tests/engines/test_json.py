"""JSON is read and written the same on every engine, byte for byte."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.errors import UserError
from tests.engines.agreement import OBJECTS, SETTINGS, TEXTS, agreed, plain, several, values

DOCUMENTS = [
    '{"a":1.50,"b":{"c" : [1, 2.0, "x y"],"d":null},"e":null,"f":"q\\"\\u00e9\\ud83d\\ude00\\n\\/"}',
    '{"g":true,"a b":5,"a.b":6}',
    '{"h\\"i":7,"k":[ {"z" : 1 } ],"n":1e5,"m":-0,"u":"\\u0041","big":123456789012345678901234567890,"a":{}}',
    '{"a":1,"a":2}', '{"b":{"a":1},"a":3}', '{"a":"{\\"a\\":1}"}', '{"a":"\\\\u0041 \\u001f\\u007f"}', ' {"a" : "x"} ',
    '{"a":[]}', '{"a":[[],{}," ",  -1.5]}', '{"a":""}', '{"a":"null"}', '{"é":1}',
    '[1,{"a":2}]', '"x"', ' "x" ', "null", "1", " 1.50 ", "true", "{}", "[]", None,
    *(f'{{"a":{number}}}' for number in (
        "18446744073709551616", "-0.0", "0e0", "1E2", "0.1e1", "-1.5", "9007199254740993", "-0", "-0e1", "1e-400",
        "1.0", "0.1", "100.00", "0.30000000000000004", "123456.78901",
    )),
]  # fmt: skip
FAR = [  # Spark spells these as Java does
    f'{{"a":{number}}}' for number in (
        "1e400", "1e21", "1e22", "123456789012345678901.0", "1e-6", "1e-7", "0.000001", "1.5e-5",
        "1.7976931348623157e308", "5e-324", "2.5e20", "9007199254740993.0", "1e15", "1e16", "999999999.99999",
        "1234567890.5", "1e23", "8.75627843843865e162", "-8.75627843843865e-162", "9007199254740993e5",
    )
]  # fmt: skip
PATHS = [
    "$.a",
    "$.b",
    "$.b.c",
    "$.b.c[0]",
    "$.b.c[-1]",
    "$.b.d",
    "$.e",
    "$.f",
    "$.g",
    '$."a b"',
    '$."a.b"',
    "$.a.b",
    "$",
]
PATHS += ['$."h\\"i"', "$.k", "$.k[0].z", "$.k[9]", "$.n", "$.m", "$.u", "$.big", "$.zz", "$[0]", "$[1].a", '$."b"."c"']


@pytest.mark.parametrize("path", PATHS)
def test_the_text_at_a_path_of_json_is_the_same(both, path):
    """Nested values in their shortest spelling; of a key that is there twice the first; nothing where nothing is."""
    documents = [*DOCUMENTS, *FAR]
    if both[1].dialect.name == "spark":
        if "[-" in path:
            pytest.skip("it has no places from the end of a list")
        # all of a document with a sign that is a pair in Java has it as an escape
        documents = [each for each in DOCUMENTS if path != "$" or "ud83d" not in str(each)]
    agreed(both, lambda dialect: [dialect.json_text(dialect.literal(document), path) for document in documents])


def test_far_numbers_mean_the_same(both):
    """However they are spelt."""
    agreed(
        both,
        lambda dialect: [dialect.try_cast(dialect.json_text(f"'{document}'", "$.a"), "double") for document in FAR[1:]],
    )


@pytest.mark.parametrize("path", ["$.*", "a", "$.", "$.a[*]", "$['a']", "$.a[-1]"])
def test_other_paths_are_refused(both, path):
    """They have no equal on PostgreSQL and Spark; places from the end of a list none on Spark."""
    if "[-" in path and both[1].dialect.name != "spark":
        pytest.skip("there it has one")
    with pytest.raises(UserError, match="no path"):
        both[1].dialect.json_text("x", path)


@SETTINGS
@given(several(OBJECTS), st.booleans(), st.sampled_from([None, 1]))
def test_any_json_is_read_the_same(both, objects, is_ascii, indent):
    """Each key's text and value, and the whole, however it was written."""
    if both[1].dialect.name == "spark":
        objects = plain(objects)

    def read(dialect, said):
        document = dialect.literal(json.dumps(said, ensure_ascii=is_ascii, indent=indent))
        # DuckDB takes * for every key, in quotes too
        plain = [key for key in said if key not in ("", "*") and '"' not in key and "\\" not in key]
        return [
            dialect.json_text(document, "$"),
            *(dialect.json_text(document, f'$."{key}"') for key in plain),
            *(dialect.json_object({"v": dialect.json_value(document, key)}) for key in said if key),
            dialect.json_valid(document),
        ]

    agreed(both, lambda dialect: [each for said in objects for each in read(dialect, said)])


@SETTINGS
@given(several(st.tuples(st.booleans(), st.integers(1, 10**15), st.integers(-300, 290))))
def test_a_number_of_few_digits_is_read_the_same(both, numbers):
    """In the fewest digits that mean it, which may lie halfway between two numbers that a machine can hold."""
    documents = [f'{{"a":{"-" * is_negative}{digits}e{exponent}}}' for is_negative, digits, exponent in numbers]

    def read(dialect):
        found = [dialect.json_text(dialect.literal(document), "$.a") for document in documents]
        # Spark spells them as Java does
        return found if both[1].dialect.name == "postgres" else [dialect.try_cast(each, "double") for each in found]

    agreed(both, read)


@pytest.mark.parametrize(
    ("text", "is_valid"),
    [
        ("{}", True), ("[1, 2]", True), ('"x"', True), ("null", True), (" 1 ", True), ("", False), (" ", False),
        ("not json", False), ('{"a":', False), ('{"a":1}x', False), ('{"a":"\\ud83d"}', False), ('{"a":01}', False),
        ("{'a':1}", False), ('{"a":"\x01"}', False), ('{"a":"\t"}', False), ('{"a":"\\u0000"}', True), ("{a:1}", False),
        ('{"a":1e400}', True), ('{"a":"\\x"}', False), ("[1 2]", False), (None, None), ('{"a":+1}', False),
    ],
)  # fmt: skip
def test_what_is_json_is_the_same(both, text, is_valid):
    """By RFC 8259."""
    assert agreed(both, lambda dialect: [dialect.json_valid(dialect.literal(text))]) == [is_valid]


@pytest.mark.parametrize("text", ['{"a":NaN}', '{"a":1,}', '{"a":Infinity}', "[1,]"])
def test_what_only_duckdb_takes_for_json(beside_postgres, text):
    """No number and a comma too many: PostgreSQL keeps to the standard."""
    assert [values(each, [each.dialect.json_valid(f"'{text}'")]) for each in beside_postgres] == [[True], [False]]


def test_an_escaped_nul_is_a_replacement_sign_on_postgresql(beside_postgres):
    """Text has no such character there; the rest of the record stays what it is, and its sign is no other's."""
    document = json.dumps({"a": "x\0y", "b": 1, "c": "\\u0000", "d": {"e": "\0"}})
    dialect = beside_postgres[1].dialect
    read = values(beside_postgres[1], [dialect.json_text(dialect.literal(document), f"$.{key}") for key in "abcd"])
    assert read == ["x\ufffdy", "1", "\\u0000", '{"e":"\ufffd"}']


def test_an_object_is_written_the_same(both):
    """Byte for byte: no spaces, the same escapes, numbers as they are."""
    agreed(both, lambda dialect: [dialect.json_object({"a": dialect.literal(text), 'é"\\': "null"}) for text in TEXTS])

    def written(dialect):
        columns = {
            "null": "null", "whole": "1", "big": str(2**62), "yes": "true", "no": "cast(null as boolean)",
            "decimal": "cast(1.5 as decimal(18, 2))", "day": "date '2024-01-01'",
            "moment": f"cast('2024-01-01 00:00:00+00:00' as {dialect.kind('timestamptz')})",
            "part": f"cast('2024-01-01 10:00:00.120+02:00' as {dialect.kind('timestamptz')})",
            "wall": f"cast('2024-01-01 10:00:00' as {dialect.kind('timestamp')})",
            "texts": dialect.text_list(["a", 'b"']),
            **{f"n{place}": f"cast('{number}' as {dialect.kind('double')})" for place, number in enumerate(
                ("1e20", "1.5", "-0", "1e16", "1e21", "1e-7", "0.1", "100", "123456.789", "1e300", "nan", "inf")
            )},
        }  # fmt: skip
        return [dialect.json_object(columns), dialect.json_object({"a": "1"})]

    agreed(both, written)


def test_values_of_a_column_stand_in_an_object(both):
    """Of several rows and kinds: nothing that is worked out for one of them stops at another."""

    def written(each):
        rows = " union all ".join(f"select {each.dialect.literal(document)} as document" for document in DOCUMENTS)
        value = each.dialect.json_object({"v": each.dialect.json_value("document", "a")})
        return sorted(row["said"] for row in each.rows(f"select {value} as said from ({rows}) as listed"))

    assert written(both[0]) == written(both[1])


def test_keys_are_the_same(both):
    """One row a key, also of one that is there twice; nothing of what is no object."""

    def keys(each):
        listed = " union all ".join(
            f"select {place} as place, {each.dialect.literal(text)} as document" for place, text in enumerate(DOCUMENTS)
        )
        found = each.rows(f"select place, {each.dialect.json_keys('document')} as key from ({listed}) as listed")
        return sorted((row["place"], row["key"]) for row in found)

    assert keys(both[0]) == keys(both[1])


def test_a_key_may_be_an_expression(both):
    """Of letters, digits and _."""
    agreed(both, lambda dialect: [dialect.json_text_at("""'{"a_1":"x"}'""", f"concat('a_', {n})") for n in (1, 2)])
