"""The macros that engines spell differently say the same on each: what models are made of, without a run of dbt."""

import json
import re
from functools import cache
from pathlib import Path
from types import SimpleNamespace

import jinja2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.errors import UserError
from tests.engines.agreement import JSON_TEXTS, OBJECTS, SETTINGS, TEXTS, agreed, plain, several, values
from tests.engines.test_casts import TRIED
from tests.engines.test_json import DOCUMENTS, PATHS

FOLDER = Path(__file__).parents[2] / "dbt_project" / "macros"
MACROS = "\n".join((FOLDER / f"{name}.sql").read_text() for name in ("types", "json", "texts"))


def refused(message):
    """As dbt stops where a macro says so."""
    raise UserError(message)


@cache
def macros(engine):
    """The macros as dbt has them for the engine; PostgreSQL's functions are in the logical schema."""

    def dispatch(wanted, _package):
        return getattr(module, f"{engine}__{wanted}", None) or getattr(module, f"default__{wanted}")

    environment = jinja2.Environment(extensions=["jinja2.ext.do"], autoescape=False)
    values = {
        "adapter": SimpleNamespace(dispatch=dispatch),
        "var": lambda _name, default: default,
        "modules": SimpleNamespace(re=re),
        "exceptions": SimpleNamespace(raise_compiler_error=refused),
    }
    module = environment.from_string(MACROS).make_module(values)
    return module


def macro(name, *arguments, engine):
    """What dbt would write for a call of the macro."""
    return getattr(macros(engine), name)(*arguments)


@pytest.mark.parametrize(
    "kind",
    [
        "double", "float", "real", "bigint", "int", "decimal(18, 2)", "boolean", "date", "timestamptz", "timestamp",
        "timestamp with time zone", "json",
    ],
)  # fmt: skip
def test_a_cast_that_is_tried(both, kind):
    """The same on both engines, and as the dialect's own."""
    texts = TRIED.get(kind, TRIED["integer"])
    by_macro = agreed(
        both, lambda dialect: [macro("try_cast", dialect.literal(text), kind, engine=dialect.name) for text in texts]
    )
    by_dialect = agreed(both, lambda dialect: [dialect.try_cast(dialect.literal(text), kind) for text in texts])
    assert str(by_macro) == str(by_dialect)  # as text: what is no number equals nothing


def test_a_text_of_json(both):
    document = json.dumps({"a": 1.5, "a b": "x", "c": {"d": [1, 2]}, "e.f": None, "g.h": "i"})
    paths = ["$.a", '$."a b"', "$.c.d", "$.c", '$."e.f"', '$."g.h"', "$.nowhere"]

    def written(dialect):
        return [macro("json_text", dialect.literal(document), path, engine=dialect.name) for path in paths]

    assert agreed(both, written) == ["1.5", "x", "[1,2]", '{"d":[1,2]}', None, "i", None]


@pytest.mark.parametrize("path", [*PATHS, "$.items[0].sku", "$.items[1].tags[0]", '$."it\'s"', '$."a[0]"', '$."*"'])
def test_a_path_of_json_is_read_as_the_dialect_reads_it(both, path):
    """Names, places in lists, `$` for all of it, names in quotes with any sign that the engine has a way to write."""
    documents = [
        *(document for document in DOCUMENTS if path != "$" or "ud83d" not in str(document)),
        '{"items":[{"sku":"x"},{"tags":["y"]}],"it\'s":"z","a[0]":1,"*":2}',
    ]
    dialect = both[1].dialect
    try:
        wanted = [dialect.json_text(dialect.literal(document), path) for document in documents]
    except UserError as error:
        with pytest.raises(UserError, match="that Spark has"):
            macro("json_text", "record", path, engine=dialect.name)
        assert "that Spark has" in str(error)  # noqa: PT017 - what one says, the other says
        return
    written = [macro("json_text", dialect.literal(document), path, engine=dialect.name) for document in documents]
    assert values(both[1], written) == values(both[1], wanted)
    if path != '$."*"':  # which DuckDB takes for every key
        agreed(
            both, lambda each: [macro("json_text", each.literal(text), path, engine=each.name) for text in documents]
        )


@pytest.mark.parametrize("path", ["$.*", "a", "$.", "$.a[*]", "$['a']", '$.a"b"', "$.a[0", "", "$.items[0]sku"])
@pytest.mark.parametrize("engine", ["postgres", "spark"])
def test_what_is_no_path_of_json_is_refused(engine, path):
    """With the path, before a run: read in part, it would be null of every record."""
    with pytest.raises(UserError, match=re.escape(f"no path of names and places in lists: {path}")):
        macro("json_text", "record", path, engine=engine)


def test_an_object_of_json(both):
    def written(dialect):
        others = {"b c": "1", "d": "true", "e": "null"}
        columns = [{"a": dialect.literal(text), **others} for text in TEXTS]
        made = [macro("json_object", each, engine=dialect.name) for each in columns]
        return [*made, macro("sha256", "'é'", engine=dialect.name)]

    agreed(both, written)


MERGED = [
    ('{ "a" : 1.0 }', '{"b" : [1, null]}'),
    ('{"a":1}', "[1]"),
    ('{"a":1}', "null"),
    ("[1]", '{"a":null,"b":1}'),
    ('{"a":1,"a":2}', '{"a":3}'),
    ('{"a":"\\u00e9\\/"}', '{"\\u00e9":1}'),
    ('{"a":{"b":1}}', '{"a":5}'),
    ("{}", "{}"),
    (None, ' {"a" : 1}'),
    (' {"a" : 1}', None),
    (None, None),
]


DEEP = [
    ('{"a":1,"b":{"x":1,"y":2},"c":3}', '{"b":{"y":null,"z":5},"a":null,"d":{"q":null,"r":1}}'),
    ('{"a":1}', '{"a":2,"a":3}'),
    ('{"a":5}', '{"a":{"b":null}}'),
    ('{"a":1,"b":2}', '{"c":4,"b":null,"b":3}'),
    ('{"x":1}', '{"a":{"b":null,"c":{"d":null}}}'),
    ('{"x":{"k":null}}', '{"x":{"y":1}}'),
]  # not for Spark, which merges the top level only, of a key that is there twice the first


@pytest.mark.parametrize(("first", "second"), DEEP)
def test_nested_objects_are_one(beside_postgres, first, second):
    agreed(
        beside_postgres,
        lambda dialect: [macro("json_merge", dialect.literal(first), dialect.literal(second), engine=dialect.name)],
    )


@pytest.mark.parametrize(("first", "second"), MERGED)
def test_two_objects_are_one(both, first, second):
    """By RFC 7396, in DuckDB's order of keys; where one is null, the other as it was written."""
    agreed(
        both,
        lambda dialect: [macro("json_merge", dialect.literal(first), dialect.literal(second), engine=dialect.name)],
    )


def flat(value):
    """No object, nor a list with one."""
    return json.dumps(value) if isinstance(value, dict | list) else value


@SETTINGS
@given(several(st.tuples(OBJECTS, OBJECTS | st.dictionaries(JSON_TEXTS, st.none()))))
def test_any_two_objects_are_one(both, pairs):
    if both[1].dialect.name == "spark":
        pairs = [(plain(first), {key: flat(value) for key, value in plain(second).items()}) for first, second in pairs]

    def written(dialect):
        listed = [[dialect.literal(json.dumps(each)) for each in pair] for pair in pairs]
        return [macro("json_merge", *pair, engine=dialect.name) for pair in listed]

    agreed(both, written)
