"""What lands is loaded exactly once, whatever it looks like and whenever the loading is cut short."""

import csv
import gzip
import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from assets import files, ingest_report
from assets.ingest import ingest
from models.clock import Clock
from models.errors import ConfigError, StorageFull, UserError
from models.settings import Settings
from warehouse.duckdb import DuckDB

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
LONG_AGO = 1_600_000_000


@dataclass
class Inbox:
    """A project with one or more sources and the landing folder of its target."""

    settings: Settings

    def declare(self, **sources: str) -> None:
        body = "\n".join(f"  {name}: {{{entry}}}" for name, entry in sources.items())
        (self.settings.project / "sources.yml").write_text(f"sources:\n{body}\n")

    def land(self, name: str, content: bytes | str) -> Path:
        path = self.settings.landing / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    def ingest(self, *names: str, at: datetime = NOON, **options):
        results = ingest(self.settings, Clock.at(at), names or None, **options)
        return results[0] if len(results) == 1 else results

    def rows(self, query: str) -> list[tuple]:
        with DuckDB(self.settings.warehouse) as warehouse:
            return [tuple(row.values()) for row in warehouse.rows(query)]

    def records(self, source: str = "shop") -> list[tuple[str, int, str]]:
        return self.rows(f"select file, line, record from raw.{source} order by file, line")

    def bad(self) -> list[tuple[str, int, str, str]]:
        return self.rows("select file, line, text, reason from tailrace.quarantine order by file, line")

    def files(self) -> list[tuple[str, int, int, str | None]]:
        return self.rows("select file, line_count, bad_count, copy_of from tailrace.ingest_file order by file")


def make_inbox(folder: Path) -> Inbox:
    (folder / "project").mkdir(parents=True)
    made = Inbox(Settings(folder / "project", folder / "home"))
    made.declare(shop="files: 'shop/*', format: ndjson")
    return made


@pytest.fixture
def inbox(tmp_path) -> Inbox:
    return make_inbox(tmp_path)


def lines(count: int, start: int = 0) -> str:
    return "".join(f'{{"id": {number}}}\n' for number in range(start, start + count))


# each content once


def test_a_file_is_loaded_once_with_its_lines_and_the_clocks_load_time(inbox):
    """A second run loads nothing, and every row has file, line from 1 and the clock as its load time."""
    inbox.land("shop/a.ndjson", lines(3))
    assert inbox.ingest().rows == 3
    assert inbox.ingest(at=datetime(2026, 3, 2, tzinfo=UTC)).files == 0
    assert inbox.records() == [("shop/a.ndjson", line, f'{{"id": {line - 1}}}') for line in (1, 2, 3)]
    assert inbox.rows("select distinct loaded_at from raw.shop") == [(NOON,)]


def test_an_equal_file_is_recorded_as_a_copy_with_both_names(inbox):
    """The same content under a second name adds no row, in the same run or a later one, and is not looked at again."""
    inbox.land("shop/a", lines(3))
    inbox.land("shop/b", lines(3))
    first = inbox.ingest()
    inbox.land("shop/c", lines(3))
    second = inbox.ingest()
    assert (first.files, first.rows, second.rows) == (1, 3, 0)
    assert [(copy.file, copy.copy_of) for result in (first, second) for copy in result.copies] == [
        ("shop/b", "shop/a"),
        ("shop/c", "shop/a"),
    ]
    assert inbox.ingest().copies == ()
    assert inbox.files() == [("shop/a", 3, 0, None), ("shop/b", 0, 0, "shop/a"), ("shop/c", 0, 0, "shop/a")]


def test_equal_files_are_both_loaded_where_the_name_is_the_identity(inbox):
    """With `identity: name` equal files are true ones, each a batch of its own."""
    inbox.declare(shop="files: 'shop/*', format: ndjson, identity: name")
    inbox.land("shop/a", lines(3))
    inbox.land("shop/b", lines(3))
    assert inbox.ingest().rows == 6
    assert inbox.ingest().rows == 0
    assert inbox.rows("select count(distinct batch_id) from raw.shop") == [(2,)]


def test_compressing_a_file_does_not_make_it_another(inbox):
    """A file is what it holds: rotated, gzipped or zstandard, it is the same."""
    inbox.land("shop/a", lines(3))
    inbox.land("shop/b.gz", gzip.compress(lines(3).encode()))
    inbox.land("shop/c.zst", zstandard.compress(lines(3).encode()))
    result = inbox.ingest()
    assert (result.rows, len(result.copies)) == (3, 2)


def test_a_loaded_file_that_changed_is_refused_and_stops_no_other(inbox):
    """Its new content is not loaded, the reason is told every time until it is put back, and others go on."""
    inbox.land("shop/a", lines(3))
    inbox.ingest()
    inbox.land("shop/a", lines(4))
    inbox.land("shop/b", lines(2, start=10))
    result = inbox.ingest()
    assert [note.file for note in result.refused] == ["shop/a"]
    assert "loaded at 2026-03-01 12:00" in result.refused[0].reason
    assert result.needs_a_person
    assert (result.rows, len(inbox.records())) == (2, 5)
    assert inbox.ingest().refused == result.refused
    inbox.land("shop/a", lines(3))
    assert not inbox.ingest().needs_a_person


def test_touching_a_file_is_not_changing_it(inbox):
    """A new modification time with the same content is nothing."""
    path = inbox.land("shop/a", lines(3))
    inbox.ingest()
    os.utime(path, (LONG_AGO, LONG_AGO))
    result = inbox.ingest()
    assert (result.rows, result.refused, result.copies) == (0, (), ())


def test_two_sources_may_read_the_same_file(inbox):
    """A content is loaded once for each source that names it."""
    inbox.declare(one="files: 'x/*', format: ndjson", two="files: 'x/*', format: lines")
    inbox.land("x/a", lines(2))
    inbox.ingest()
    assert len(inbox.records("one")) == len(inbox.records("two")) == 2


def test_many_small_files_go_together_and_stay_batches_of_their_own(inbox):
    """More files than fit one pass: each has its rows, its batch and its row in ingest_file."""
    for number in range(620):
        inbox.land(f"shop/{number:04d}", lines(2, start=2 * number))
    result = inbox.ingest()
    assert (result.files, result.rows) == (620, 1240)
    assert inbox.rows("select count(distinct batch_id), count(distinct record) from raw.shop") == [(620, 1240)]
    assert inbox.rows("select count(*), min(row_count), max(row_count) from tailrace.batch") == [(620, 3, 3)]


# which files


def test_only_finished_regular_files_are_read(inbox):
    """Hidden files, folders, pipes, dangling links and names of unfinished files are left alone."""
    for name in (".hidden", "a.tmp", "b.part", "c~"):
        inbox.land(f"shop/{name}", lines(1))
    (inbox.settings.landing / "shop" / "folder").mkdir()
    os.mkfifo(inbox.settings.landing / "shop" / "pipe")
    (inbox.settings.landing / "shop" / "dangling").symlink_to("nowhere")
    inbox.land("shop/good", lines(1))
    result = inbox.ingest()
    assert (result.files, result.refused, result.waiting) == (1, (), ())


@pytest.mark.parametrize("name", ["it's.ndjson", "a b;c--.ndjson", "Größe 東京 🎈", 'quo"te', "new\nline", "$1 {{x}}"])
def test_any_name_will_do(inbox, name):
    """What a file is called is data."""
    inbox.land(f"shop/{name}", lines(1))
    assert inbox.ingest().rows == 1
    assert inbox.records()[0][0] == f"shop/{name}"
    assert inbox.ingest().files == 0


def test_a_name_that_is_no_text_is_written_out(inbox):
    """A file name of bytes that are not UTF-8 is stored readable."""
    inbox.land("shop/a", lines(1))
    path = inbox.settings.landing / "shop" / "a"
    path.rename(path.with_name(os.fsdecode(b"\xff")))
    assert inbox.ingest().rows == 1
    assert inbox.records()[0][0] == "shop/\\xff"
    assert inbox.ingest().files == 0


def test_an_absolute_glob_reads_outside_the_landing_folder(inbox, tmp_path):
    """Its files are known by their whole path."""
    (tmp_path / "far").mkdir()
    (tmp_path / "far" / "a").write_text(lines(1))
    inbox.declare(shop=f"files: '{tmp_path}/far/**/*', format: ndjson")
    assert inbox.ingest().rows == 1
    assert inbox.records()[0][0] == f"{tmp_path}/far/a"


def test_an_unreadable_file_is_refused(inbox):
    """No permission is a reason, not a crash."""
    path = inbox.land("shop/a", lines(1))
    inbox.land("shop/b", lines(1, start=5))
    path.chmod(0)
    if os.access(path, os.R_OK):
        pytest.skip("this user may read everything")
    result = inbox.ingest()
    assert [(note.file, note.reason) for note in result.refused] == [("shop/a", "it cannot be read: Permission denied")]
    assert result.rows == 1


def test_an_empty_file_waits_until_it_holds_something(inbox):
    """A file created before it is written is not refused later for having changed."""
    inbox.land("shop/a", "")
    assert inbox.ingest().files == 0
    inbox.land("shop/a", lines(2))
    result = inbox.ingest()
    assert (result.rows, result.refused) == (2, ())


def test_no_folder_is_no_mistake(inbox):
    """A source whose folder does not exist yet has simply nothing; its raw table is there and empty."""
    assert inbox.ingest().files == 0
    assert inbox.records() == []


# lines of NDJSON


def test_bad_lines_are_set_apart_with_their_place_and_the_good_ones_go_on(inbox):
    """BOM, CRLF, blanks, bytes that are no text, zeros, other JSON and an unended last line are told apart."""
    inbox.declare(shop="files: 'shop/*', format: ndjson, max_bad: 1")
    inbox.land(
        "shop/a",
        b'\xef\xbb\xbf{"id": 1}\r\n'
        b"\r\n"
        b' {"id": "Gr\xc3\xb6\xc3\x9fe \xf0\x9f\x8e\x88"} \n'
        b"{oops}\n"
        b'{"id": "\xff"}\n'
        b"[1, 2]\n"
        b'{"id": "\x00"}\n'
        b'\xef\xbb\xbf{"id": 8}\n'
        b'{"id": 9}{"id": 9}\n'
        b'{"id": "\\u0000"}\n'
        b"   \t\n"
        b'{"id": 12',
    )
    result = inbox.ingest()
    assert (result.rows, result.bad, result.stopped) == (3, 7, None)
    assert [(line, record) for _, line, record in inbox.records()] == [
        (1, '{"id": 1}'),
        (3, '{"id": "Größe 🎈"}'),
        (10, '{"id": "\\u0000"}'),
    ]
    assert [(line, text) for _, line, text, _ in inbox.bad()] == [
        (4, "{oops}"),
        (5, '{"id": "\\xff"}'),
        (6, "[1, 2]"),
        (7, '{"id": "\x00"}'),
        (8, '\ufeff{"id": 8}'),
        (9, '{"id": 9}{"id": 9}'),
        (12, '{"id": 12'),
    ]
    reasons = [reason for *_, reason in inbox.bad()]
    assert reasons[0].startswith("not valid JSON: expecting property name")
    assert reasons[1] == "not UTF-8 text (byte 9 of the line)"
    assert reasons[2] == "valid JSON, but not an object"
    assert reasons[5] == "not valid JSON: extra data (character 10)"


def test_a_line_longer_than_any_buffer_is_one_record(inbox):
    """Ten megabytes in one line come through whole, and the numbers after it are right."""
    big = json.dumps({"id": "x" * 10_000_000})
    inbox.land("shop/a", f"{lines(1)}{big}\n{lines(1, start=7)}")
    assert inbox.ingest().rows == 3
    assert [(line, len(record)) for _, line, record in inbox.records()] == [(1, 9), (2, len(big)), (3, 9)]


def test_a_line_without_end_is_given_up_on(inbox):
    """A line past the limit is quarantined by its beginning; what comes after it is read."""
    inbox.land("shop/a", b'{"id": "' + b"x" * (65 << 20) + b'"}\n' + lines(2).encode())
    result = inbox.ingest()
    assert (result.rows, result.bad) == (2, 1)
    (_, line, text, reason) = inbox.bad()[0]
    assert (line, len(text)) == (1, 1000)
    assert "more than 67,108,864" in reason
    assert [line for _, line, _ in inbox.records()] == [2, 3]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=4,
)
LINE = st.one_of(
    st.dictionaries(st.text(max_size=3), JSON, max_size=3).map(lambda value: json.dumps(value).encode()),
    st.dictionaries(st.text(max_size=3), JSON, max_size=3).map(
        lambda value: json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogatepass")
    ),
    JSON.map(lambda value: json.dumps(value).encode()),
    st.binary(max_size=8).map(lambda value: value.replace(b"\n", b"")),
    st.sampled_from([b"", b" ", b"\r", b"{}", b"{", b'{"a":1}}']),
)


def is_record(line: bytes) -> bool:
    """The independent reading: an object of valid JSON, its text UTF-8, without lone surrogates."""
    try:
        value = json.loads(line.decode())
        json.dumps(value, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        return False
    return isinstance(value, dict)


@given(st.lists(LINE, max_size=12), st.booleans(), st.booleans())
@settings(max_examples=30, deadline=None)
def test_every_line_is_a_record_or_in_quarantine(tmp_path_factory, given_lines, ended, crlf):
    """Against plain Python: the same records with the same numbers, everything else that is not blank set apart."""
    inbox = make_inbox(tmp_path_factory.mktemp("lines"))
    inbox.declare(shop="files: 'shop/*', format: ndjson, max_bad: 1")
    end = b"\r\n" if crlf else b"\n"
    inbox.land("shop/a", end.join(given_lines) + (end if ended else b""))
    inbox.ingest()
    space = b" \t\r\n\x0b\x0c"
    told = {number: line.strip(b" \t\r\n") for number, line in enumerate(given_lines, 1) if line.strip(space)}
    if told:
        told[min(told)] = told[min(told)].removeprefix(b"\xef\xbb\xbf") if min(told) == 1 else told[min(told)]
    good = {number: line.decode() for number, line in told.items() if is_record(line)}
    assert {line: record for _, line, record in inbox.records()} == good
    assert {line for _, line, *_ in inbox.bad()} == set(told) - set(good)


# too many bad lines


def test_past_the_share_the_source_stops_and_nothing_of_the_file_shows(inbox):
    """Files before it are loaded, it and all later ones wait, its bad lines are told but not kept, others go on."""
    inbox.declare(
        shop="files: 'shop/*', format: ndjson, max_bad: 0.1",
        crm="files: 'crm/*', format: ndjson",
    )
    inbox.land("shop/a", lines(10))
    bad = inbox.land("shop/b", lines(8, start=10) + "x\ny\n")
    inbox.land("shop/c", lines(10, start=20))
    inbox.land("crm/a", lines(1))
    shop, crm = inbox.ingest()
    assert (shop.files, shop.rows, crm.rows) == (1, 10, 1)
    assert shop.stopped is not None
    assert "shop/b: 2 of 10 lines are bad" in shop.stopped
    assert "line 9: not valid JSON" in shop.stopped
    assert "1 later files wait" in shop.stopped
    assert shop.needs_a_person
    assert inbox.bad() == []
    assert [name for name, *_ in inbox.files()] == ["crm/a", "shop/a"]

    bad.write_text(lines(10, start=10))
    mended, _ = inbox.ingest()
    assert (mended.files, mended.rows, mended.stopped) == (2, 20, None)
    assert [json.loads(record)["id"] for _, _, record in inbox.records()] == list(range(30))


def test_the_share_itself_is_allowed(inbox):
    """Exactly max_bad goes through; zero lets nothing bad through."""
    inbox.declare(
        shop="files: 'shop/*', format: ndjson, max_bad: 0.1", none="files: 'shop/*', format: ndjson, max_bad: 0"
    )
    inbox.land("shop/a", lines(9) + "x\n")
    shop, none = inbox.ingest()
    assert (shop.bad, shop.stopped) == (1, None)
    assert none.stopped


@pytest.mark.parametrize(
    ("good", "bad", "stops"),
    [(9, 10, True), (11, 10, False), (1, 1, False), (0, 1, True), (19, 1, False), (200, 11, True), (210, 11, False)],
)
def test_a_short_file_may_have_ten_bad_lines_unless_most_are(inbox, good, bad, stops):
    """Without a share of its own a source stops past 5 %, but not at ten lines of a short file; always past half."""
    inbox.land("shop/a", lines(good) + "x\n" * bad)
    assert bool(inbox.ingest().stopped) == stops


# expected columns


def test_a_record_without_what_is_expected_is_set_apart(inbox):
    """Missing, null and uncastable values are told by column; a dot goes a level down; bad lines keep their reason."""
    inbox.declare(shop="files: 'shop/*', format: ndjson, max_bad: 1, expect: {id: bigint, p.x: 'decimal(9,2)'}")
    inbox.land(
        "shop/a",
        '{"id": 1, "p": {"x": "1.50"}}\n{"id": "one", "p": {"x": 1}}\n{"id": null, "p": {"x": 1}}\n'
        '{"id": 4}\nnope\n[]\n{"id": 7, "p": {"x": "1e99"}}\n',
    )
    inbox.ingest()
    assert [line for _, line, _ in inbox.records()] == [1]
    assert [(line, reason) for _, line, _, reason in inbox.bad()] == [
        (2, "id is not bigint"),
        (3, "id is missing"),
        (4, "p.x is missing"),
        (5, "not valid JSON: expecting value (character 1)"),
        (6, "valid JSON, but not an object"),
        (7, "p.x is not decimal(9,2)"),
    ]


def test_why_a_source_stopped_shows_no_value(inbox):
    """What is told to people, alerts and Dagster says where and what is wrong, and nothing of what the line holds."""
    inbox.declare(shop="files: 'shop/*', format: ndjson, max_bad: 0, expect: {phone: bigint}")
    inbox.land("shop/a", '{"phone": "+33 6 12 34 56 78"}\n{"phone": "ann@shop.example"\n')
    stopped = inbox.ingest().stopped
    assert "line 1: phone is not bigint" in stopped
    assert "line 2: not valid JSON" in stopped
    assert "+33" not in stopped
    assert "ann" not in stopped


def test_an_unknown_type_is_the_users_mistake(inbox):
    """The engine does not know it: the line of sources.yml is told, nothing is loaded."""
    inbox.declare(shop="files: 'shop/*', format: ndjson, expect: {id: bigwint}")
    inbox.land("shop/a", lines(1))
    with pytest.raises(ConfigError, match="knows no type 'bigwint'") as caught:
        inbox.ingest()
    assert (caught.value.line, caught.value.key) == (2, "sources.shop.expect.id")


def test_an_unknown_source_is_the_users_mistake(inbox):
    """A close name is suggested."""
    with pytest.raises(UserError, match=r"no source 'shpo' in sources.yml; did you mean 'shop'\?"):
        inbox.ingest("shpo")


# CSV


def test_csv_lines_are_numbered_through_quoted_line_ends(inbox):
    """A record has the line it starts on, also after fields that span lines, blank lines and CRLF; bad ones too."""
    inbox.declare(shop="files: 'shop/*', format: csv, max_bad: 1")
    inbox.land(
        "shop/a",
        '\ufeffid,note\r\n1,"two\r\nlines"\r\n2,plain\r\n\r\n3\r\n4,"a ""quoted"" word"\r\n'
        '5,"x"y\r\n6,\r\n7,"a\nb\nc"\n8,last',
    )
    result = inbox.ingest()
    assert (result.rows, result.bad) == (6, 2)
    assert [(line, json.loads(record)) for _, line, record in inbox.records()] == [
        (2, {"id": "1", "note": "two\r\nlines"}),
        (4, {"id": "2", "note": "plain"}),
        (7, {"id": "4", "note": 'a "quoted" word'}),
        (9, {"id": "6", "note": None}),
        (10, {"id": "7", "note": "a\nb\nc"}),
        (13, {"id": "8", "note": "last"}),
    ]
    assert [(line, text) for _, line, text, _ in inbox.bad()] == [(6, "3"), (8, '5,"x"y')]


def test_a_quote_that_never_closes_costs_one_line(inbox):
    """The line is set apart and the next ones are read, at the end of the file or thousands of lines before it."""
    inbox.declare(shop="files: 'shop/*', format: csv")
    body = "".join(f"{number},ok\n" for number in range(3000))
    inbox.land("shop/a", f'id,note\n1,"open\n{body}2,"open again\n3,ok\n')
    result = inbox.ingest()
    assert (result.rows, result.bad) == (3001, 2)
    assert [(line, text, reason) for _, line, text, reason in inbox.bad()] == [
        (2, '1,"open', "a quote opened here is not closed"),
        (3003, '2,"open again', "a quote opened here is not closed"),
    ]


def test_csv_bytes_that_are_no_text_cost_one_line(inbox):
    """Latin-1 in a UTF-8 file is told by its line; declared as latin-1 it is read."""
    inbox.declare(shop="files: 'shop/*', format: csv", old="files: 'shop/*', format: csv, csv: {encoding: latin-1}")
    inbox.land("shop/a", "id,name\n1,Zoë\n".encode() + "2,Zoë\n".encode("latin-1") + b"3,Bob\n")
    shop, old = inbox.ingest()
    assert (shop.rows, shop.bad, old.rows) == (2, 1, 3)
    assert inbox.bad() == [("shop/a", 3, "2,Zo\\xeb", "not UTF-8 text")]
    assert json.loads(inbox.records("old")[1][2])["name"] == "Zoë"


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be"])
def test_csv_in_utf_16_is_read(inbox, encoding):
    """With its byte order mark, in either order."""
    inbox.declare(shop="files: 'shop/*', format: csv, csv: {encoding: utf-16, delimiter: \"\\t\"}")
    mark = {"utf-16-le": b"\xff\xfe", "utf-16-be": b"\xfe\xff"}.get(encoding, b"")
    inbox.land("shop/a", mark + "id\tname\n1\t東京\n".encode(encoding))
    assert inbox.ingest().rows == 1
    assert json.loads(inbox.records()[0][2]) == {"id": "1", "name": "東京"}


def test_csv_in_another_dialect(inbox):
    """Delimiter, quote, escape and columns without a header are taken from the entry."""
    dialect = "csv: {delimiter: ';', quote: \"'\", escape: '\\', header: false, columns: [a, b]}"
    inbox.declare(shop=f"files: 'shop/*', format: csv, {dialect}")
    inbox.land("shop/a", "1;'it\\'s; here'\n2;x\n")
    inbox.ingest()
    assert [json.loads(record) for *_, record in inbox.records()] == [
        {"a": "1", "b": "it's; here"},
        {"a": "2", "b": "x"},
    ]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("id,id\n1,2\n", "the column 'id' twice"),
        ("id,\n1,2\n", "a column without a name"),
        ('"id,name\n1,2\n', "header cannot be read"),
    ],
)
def test_a_header_that_cannot_be_used_refuses_the_file(inbox, content, says):
    """Without column names nothing of the file can be told; other files go on."""
    inbox.declare(shop="files: 'shop/*', format: csv")
    inbox.land("shop/a", content)
    inbox.land("shop/b", "id,name\n1,2\n")
    result = inbox.ingest()
    assert says in result.refused[0].reason
    assert [name for name, *_ in inbox.files()] == ["shop/b"]


def test_csv_columns_may_differ_from_file_to_file(inbox):
    """Records carry the names of their own file's header, so a new or moved column breaks nothing."""
    inbox.declare(shop="files: 'shop/*', format: csv, expect: {id: bigint}")
    inbox.land("shop/a", "id,name\n1,x\n")
    inbox.land("shop/b", "new,name,id\n,y,2\n,z,three\n")
    inbox.land("shop/c", "id,name\n")
    result = inbox.ingest()
    assert (result.files, result.rows) == (3, 2)
    assert json.loads(inbox.records()[1][2]) == {"new": None, "name": "y", "id": "2"}
    assert inbox.bad() == [("shop/b", 3, ",z,three", "id is not bigint")]


CELL = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=6)


@given(st.lists(st.tuples(CELL, CELL), min_size=1, max_size=8), st.sampled_from(["\n", "\r\n"]), st.booleans())
@settings(max_examples=30, deadline=None)
def test_what_a_csv_writer_writes_is_read_back(tmp_path_factory, table, end, quote_all):
    """Any cells, by Python's writer: the same values, on the lines where they start."""
    inbox = make_inbox(tmp_path_factory.mktemp("csv"))
    inbox.declare(shop="files: 'shop/*', format: csv")
    text = io.StringIO(newline="")
    # a carriage return alone is quoted by every writer but Python's
    quoting = csv.QUOTE_ALL if quote_all or any("\r" in cell for row in table for cell in row) else csv.QUOTE_MINIMAL
    writer = csv.writer(text, lineterminator=end, quoting=quoting)
    writer.writerow(("a", "b"))
    expected = {}
    for row in table:
        start = text.getvalue().count("\n") + 1
        writer.writerow(row)
        if text.getvalue().rsplit(end, 2)[-2].strip() or any(cell for cell in row):
            expected[start] = {"a": row[0] or None, "b": row[1] or None}
    inbox.land("shop/a", text.getvalue())
    inbox.ingest()
    assert {line: json.loads(record) for _, line, record in inbox.records()} == expected
    assert inbox.bad() == []


# lines, Parquet, compression


def test_lines_are_kept_as_they_stand(inbox):
    """One text column: leading and trailing spaces stay, line ends and blank lines go, numbers are the file's."""
    inbox.declare(shop="files: 'shop/*', format: lines, identity: name")
    inbox.land("shop/a", b" 00001 19970101  1   11.77 \r\n\r\n 00002\tx\n\xff\n 00002\tx")
    inbox.ingest()
    assert [(line, record) for _, line, record in inbox.records()] == [
        (1, " 00001 19970101  1   11.77 "),
        (3, " 00002\tx"),
        (5, " 00002\tx"),
    ]
    assert [(line, text) for _, line, text, _ in inbox.bad()] == [(4, "\\xff")]


def test_parquet_values_are_exact(inbox):
    """Decimals keep every digit, moments their zone, names and nulls come through, rows are numbered."""
    inbox.declare(shop="files: 'shop/*', format: parquet, expect: {id: bigint}")
    path = inbox.land("shop/a", b"")
    duckdb.sql(
        "copy (select number as id, cast('12345678901234567.89' as decimal(20,2)) as money, "
        "timestamptz '2026-01-01 00:00:00+02' as moment, null as nothing, 'ö' as \"it's\", [1, 2] as list "
        f"from range(3) numbers(number)) to '{path}' (format parquet)"
    )
    assert inbox.ingest().rows == 3
    (_, line, record) = inbox.records()[1]
    assert line == 2
    assert json.loads(record) == {
        "id": 1,
        "money": "12345678901234567.89",
        "moment": "2025-12-31 22:00:00+00",
        "nothing": None,
        "it's": "ö",
        "list": [1, 2],
    }


def test_a_file_that_is_no_parquet_is_refused(inbox):
    """The others are loaded."""
    inbox.declare(shop="files: 'shop/*', format: parquet")
    os.utime(inbox.land("shop/a", "PAR1 no"), (LONG_AGO, LONG_AGO))
    duckdb.sql(f"copy (select 1 as id) to '{inbox.land('shop/b', b'')}' (format parquet)")
    result = inbox.ingest()
    assert (result.rows, [note.file for note in result.refused]) == (1, ["shop/a"])
    assert "cannot be read as Parquet" in result.refused[0].reason


def test_compressed_files_of_several_parts_are_read_whole(inbox):
    """Members of gzip and frames of zstandard follow one another; padding after gzip is nothing."""
    parts = [lines(1, start=number).encode() for number in range(6)]
    inbox.land("shop/a", gzip.compress(parts[0]) + gzip.compress(parts[1]) + gzip.compress(b"") + b"\0" * 512)
    inbox.land("shop/b", zstandard.compress(parts[2]) + zstandard.compress(parts[3]))
    inbox.land("shop/c", gzip.compress(b"".join(parts[4:]) + lines(200_000, start=6).encode()))
    assert inbox.ingest().rows == 200_006
    assert inbox.rows("select count(distinct record), max(line) from raw.shop") == [(200_006, 200_002)]


@pytest.mark.parametrize("compress", [gzip.compress, zstandard.compress])
def test_a_cut_off_file_waits_while_it_is_warm_and_is_refused_when_cold(inbox, compress):
    """Half a compressed file may still be coming; one that nobody has touched for long is broken."""
    whole = compress(os.urandom(3000).hex().encode())
    path = inbox.land("shop/a", whole[:-5])
    result = inbox.ingest()
    assert ([note.file for note in result.waiting], result.refused) == (["shop/a"], ())
    assert not result.needs_a_person
    os.utime(path, (LONG_AGO, LONG_AGO))
    result = inbox.ingest()
    assert [note.reason for note in result.refused] == ["its compressed data ends too early"]


def test_damaged_compressed_data_is_refused(inbox):
    """Bytes flipped in the middle are a reason, and others go on."""
    whole = bytearray(gzip.compress(os.urandom(3000).hex().encode()))
    whole[500:520] = b"\0" * 20
    inbox.land("shop/a", bytes(whole))
    inbox.land("shop/b", lines(1))
    result = inbox.ingest()
    assert "compressed data is damaged" in result.refused[0].reason
    assert result.rows == 1


# while it is being written


def test_a_file_that_grows_while_it_is_read_waits(inbox):
    """Size and time of change are compared after reading: nothing of it shows, the next run loads it whole."""
    path = inbox.land("shop/a", lines(3))
    inbox.land("shop/b", lines(2, start=50))

    def grow(_source: str, _done: int, _total: int) -> None:
        if len(path.read_text().splitlines()) == 3:
            with path.open("a") as file:
                file.write(lines(1, start=3))

    result = inbox.ingest(on_progress=grow)
    assert [note.file for note in result.waiting] == ["shop/a"]
    assert (result.rows, result.refused) == (2, ())
    assert [name for name, *_ in inbox.records()] == ["shop/b", "shop/b"]
    assert inbox.ingest().rows == 4


def test_what_was_hashed_is_what_is_loaded(inbox):
    """A large file that changes between its two readings, size and time kept, is not loaded under the wrong name."""
    path = inbox.land("shop/a", lines(3_000_000))
    kept = path.stat()

    content = files.read(files.find(inbox.settings.landing, "shop/*")[0])
    assert content.kept is None
    with path.open("r+b") as file:
        file.write(b'{"id": 9}')
    os.utime(path, ns=(kept.st_atime_ns, kept.st_mtime_ns))
    with pytest.raises(files.Unreadable, match="changed while it was read"):
        list(content.chunks())


# cut short

CHILD = """
import logging, os, signal, sys
from datetime import datetime, UTC
from pathlib import Path
from assets.ingest import ingest
from models.clock import Clock
from models.settings import Settings

class Strike(logging.Handler):
    left = int(sys.argv[3])
    def emit(self, record):
        Strike.left -= 1
        if Strike.left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

logger = logging.getLogger("tailrace.step")
logger.setLevel(logging.INFO)
logger.addHandler(Strike())
ingest(Settings(Path(sys.argv[1]), Path(sys.argv[2])), Clock.at(datetime(2026, 3, 1, 12, tzinfo=UTC)))
"""


def run_child(inbox: Inbox, strike_at: int) -> int:
    command = [sys.executable, "-c", CHILD, str(inbox.settings.project), str(inbox.settings.home), str(strike_at)]
    return subprocess.run(command, check=False, cwd=Path(__file__).parents[2]).returncode


def test_killed_at_any_step_and_run_again_it_is_as_if_nothing_had_been(inbox):
    """SIGKILL at the first, second, … durable step, run after run, on one warehouse: all is loaded once."""
    for number in range(3):
        inbox.land(f"shop/{number}", lines(20, start=100 * number) + "bad\n")
    inbox.land("shop/copy", lines(20) + "bad\n")
    kills = 0
    for strike_at in range(1, 40):
        code = run_child(inbox, strike_at)
        if code == 0:
            break
        assert code == -9
        kills += 1
    assert kills >= 6
    assert inbox.ingest().files == 0
    assert inbox.rows("select count(*), count(distinct record) from raw.shop") == [(60, 60)]
    assert len(inbox.bad()) == 3
    assert [(name, count, copy) for name, count, _, copy in inbox.files()] == [
        ("shop/0", 21, None),
        ("shop/1", 21, None),
        ("shop/2", 21, None),
        ("shop/copy", 0, "shop/0"),
    ]
    logs = inbox.rows("select (select count(*) from raw.shop__log), (select count(*) from tailrace.quarantine__log)")
    assert logs == [(60, 3)]


def test_two_at_once_load_each_content_once(inbox):
    """The second waits for the first and finds its work done."""
    for number in range(5):
        inbox.land(f"shop/{number}", lines(2000, start=10_000 * number))
    command = [sys.executable, "-c", CHILD, str(inbox.settings.project), str(inbox.settings.home), "0"]
    running = [subprocess.Popen(command, cwd=Path(__file__).parents[2]) for _ in range(3)]
    assert [process.wait(timeout=60) for process in running] == [0, 0, 0]
    assert inbox.rows("select count(*), count(distinct record) from raw.shop") == [(10_000, 10_000)]


@contextmanager
def small_disk(folder: Path, megabytes: int) -> Iterator[None]:
    folder.mkdir(parents=True, exist_ok=True)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, check=False, capture_output=True).returncode != 0:
        pytest.skip("a small file system needs the right to mount one")
    try:
        yield
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_shows_nothing_by_halves_and_loses_nothing(inbox):
    """StorageFull; every file shows whole or not at all, and with more room the same command finishes."""
    for number in range(6):
        inbox.land(f"outside/{number}", "".join(json.dumps({"id": os.urandom(600).hex()}) + "\n" for _ in range(3000)))
    inbox.declare(shop=f"files: '{inbox.settings.landing}/outside/*', format: ndjson")
    elsewhere = Inbox(Settings(inbox.settings.project, inbox.settings.home / "small"))
    with small_disk(elsewhere.settings.home, 10):
        with pytest.raises(StorageFull, match="no space left"):
            elsewhere.ingest()
        assert elsewhere.rows("select count(*) % 3000 from raw.shop") == [(0,)]
        subprocess.run(["mount", "-o", "remount,size=200m", str(elsewhere.settings.home)], check=True)
        elsewhere.ingest()
        assert elsewhere.rows("select count(*), count(distinct record) from raw.shop") == [(18_000, 18_000)]


# tables in place


def test_a_table_in_place_is_looked_at_and_never_copied(inbox):
    """One that can be read is fine; a missing file, table or column is told as stale."""
    with duckdb.connect(inbox.settings.project / "other.duckdb") as other:
        other.execute("create table contacts as select 1 as id, current_timestamp as changed_at")
    inbox.declare(
        good="database: other.duckdb, table: main.contacts, known_at: changed_at",
        gone="database: absent.duckdb, table: main.contacts",
        table="database: other.duckdb, table: main.nothing",
        column="database: other.duckdb, table: main.contacts, known_at: nothing",
    )
    good, gone, table, column = inbox.ingest()
    assert good.stale is None
    assert "absent.duckdb is not there" in gone.stale
    assert "has no table main.nothing" in table.stale
    assert "has no column nothing (known_at)" in column.stale
    assert not gone.needs_a_person


def test_a_table_whose_file_is_being_written_is_stale(inbox):
    """Its writer is waited for a few seconds; then the source is stale and the others go on."""
    path = inbox.settings.project / "other.duckdb"
    hold = f"import duckdb, time; c = duckdb.connect({str(path)!r}); print('held', flush=True); time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", hold], stdout=subprocess.PIPE) as writer:
        assert writer.stdout.readline() == b"held\n"
        inbox.declare(held="database: other.duckdb, table: main.contacts", shop="files: 'shop/*', format: ndjson")
        inbox.land("shop/a", lines(1))
        held, shop = inbox.ingest()
        writer.kill()
    assert "held by another process" in held.stale
    assert shop.rows == 1


# told afterwards


def test_the_last_results_are_kept_for_status(inbox):
    """Each source's last result is read without the warehouse, whichever ran since; undeclared ones are forgotten."""
    inbox.declare(shop="files: 'shop/*', format: ndjson, max_bad: 0", crm="files: 'crm/*', format: ndjson")
    inbox.land("shop/a", "x\n")
    shop, _ = inbox.ingest()
    inbox.ingest("crm")
    assert ingest_report.last(inbox.settings)["shop"] == shop
    inbox.declare(crm="files: 'crm/*', format: ndjson")
    inbox.ingest()
    assert set(ingest_report.last(inbox.settings)) == {"crm"}


def test_progress_is_told_in_bytes(inbox):
    """Every file counts once, loaded or not, and the last figure is the whole."""
    for number in range(3):
        inbox.land(f"shop/{number}", lines(5, start=10 * number))
    told: list[tuple[str, int, int]] = []
    inbox.ingest(on_progress=lambda *figures: told.append(figures))
    total = sum(path.stat().st_size for path in (inbox.settings.landing / "shop").iterdir())
    assert told[-1] == ("shop", total, total)
