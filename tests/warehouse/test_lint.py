"""SQL is checked without an engine: what is not portable, not repeatable or not SQL, at its line and column."""

from pathlib import Path

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from warehouse.lint import lint_sql, place, problem, without_jinja

ROOT = Path(__file__).parents[2]
QUERIES = sorted([*(ROOT / "assets" / "sql").glob("*.sql"), *(ROOT / "dbt_project" / "models").rglob("*.sql")])


@pytest.mark.parametrize("path", QUERIES, ids=lambda path: str(path.relative_to(ROOT)))
def test_the_projects_own_sql_is_portable(path):
    """Every model and every query that Python runs is inside the portable subset and reads no clock of its own."""
    assert lint_sql(path.read_text(), path.relative_to(ROOT)) == []


@pytest.mark.parametrize(
    ("sql", "line", "column", "says"),
    [
        ("select a\nfrom x\nqualify row_number() over () = 1", 3, 1, "`qualify` is not portable"),
        ("select distinct on (a) b from x", 1, 8, "`distinct on` is not portable"),
        ("select a, count(*)\nfrom x\ngroup   by all", 3, 1, "`group by all` is not portable"),
        ("delete from x", 1, 1, "`delete` is not portable"),
        ("update x set a = 1", 1, 1, "`update` is not portable"),
        ("merge into x using y on a = b when matched then delete", 1, 1, "`merge` is not portable"),
        ("select a ->> 'b' from x", 1, 10, "use the macro json_text"),
        ("select a from x where b > NOW()", 1, 27, "the macros as_of() and known_by()"),
        ("select\n    current_date as day", 2, 5, "`current_date` is refused"),
        ("select random() as r", 1, 8, "stable share of md5"),
        ("select * form x", 1, 15, "near `x`"),
        ("select a,\n  (b from x", 2, 6, "Expecting )"),
        ("select a b c from x", 1, 12, "near `c`"),
        ("select 'a from x\nwhere b", 1, 8, "the ' opened here is not closed"),
        ("select a -- it's\n, \"b from x", 2, 3, 'the " opened here is not closed'),
    ],
)
def test_a_problem_is_told_at_its_place(sql, line, column, says):
    """Line and column are those of the word, from 1."""
    (found, *_) = lint_sql(sql, "m.sql")
    assert (found.line, found.column) == (line, column)
    assert says in found.message
    assert str(found).startswith(f"m.sql:{line}:{column}: ")


@pytest.mark.parametrize(
    "sql",
    [
        "select 'now() qualify ->>' as \"current_date\" -- random()\nfrom x /* delete from y */",
        "select x.now, random, today, delete, x.current_date from x",
        "with a as (select 1 as b) select * from a where b in (select 1)",
        "select sum(a) filter (where b) over (partition by c order by d nulls last) from x",
        "{{ config(materialized='view') }}\nselect {{ json_text('a', '$.b') }} as b from {{ ref('x') }}",
        "{% if a %}\nselect 1\n{% else %}\nselect 2\n{% endif %}",
        "{# now() #}\nselect 1",
        "",
        "-- nothing\n",
    ],
)
def test_what_is_allowed_is_silent(sql):
    """Words in strings, comments, quoted names and Jinja are no SQL; columns may have the names of functions."""
    assert lint_sql(sql, "m.sql") == []


@given(st.text(alphabet=st.sampled_from("{}%#\n ab'\"-*/(),;"), max_size=40))
def test_taking_jinja_out_moves_nothing(text):
    """Every line keeps its length, so places stay true; and no text at all breaks the linter."""
    plain = without_jinja(text)
    assert [len(line) for line in plain.split("\n")] == [len(line) for line in text.split("\n")]
    lint_sql(text, "m.sql")


@pytest.mark.parametrize(
    ("sql", "at"),
    [
        ("select\n  nope\nfrom (select 1 as a)", (2, 3)),
        ("select * form x", (1, 15)),
        (f"select {'1 as a, ' * 40} nope from (select 1 as b)", (1, 329)),
    ],
)
def test_an_error_of_the_engine_has_its_place(sql, at):
    """The line and column its drawing points at, also where it shows only a part of a long line."""
    with pytest.raises(duckdb.Error) as caught:
        duckdb.connect().execute(sql)
    assert place(str(caught.value), sql) == at
    told = problem(str(caught.value), sql, "m.sql")
    assert (told.line, told.column) == at
    assert "LINE" not in told.message


def test_an_error_without_a_place_is_told_at_the_start():
    """Not every error of the engine says where."""
    assert place("Conversion Error: no", "select 1") is None
    assert str(problem("Conversion Error: no", "select 1", "m.sql")) == "m.sql:1:1: Conversion Error: no"
