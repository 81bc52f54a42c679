"""What a person gets wrong in a YAML file is said with its file, line, key and what is allowed."""

from contextlib import suppress
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from assets import configuration
from models.errors import ConfigError
from models.policy import Policy
from models.source import FileSource, Sources, TableSource
from models.sync import SyncEntry

ROOT = Path(__file__).parents[2]


@pytest.fixture
def file(tmp_path):
    def write(text, encoding="utf-8"):
        path = tmp_path / "given.yml"
        path.write_bytes(text.encode(encoding))
        return path

    return write


def refusal(path, model=Sources):
    with pytest.raises(ConfigError) as caught:
        configuration.load(path, model)
    return caught.value


def test_the_projects_own_files_are_valid():
    """sources.yml and policy.yml of the checkout load."""
    assert configuration.load(ROOT / "sources.yml", Sources).sources
    assert configuration.load(ROOT / "policy.yml", Policy).salt


@pytest.mark.parametrize(
    ("text", "line", "key", "says"),
    [
        (
            "sources:\n  a:\n    files: x\n    format: csv\n    formt: x\n",
            5,
            "sources.a.formt",
            "did you mean 'format'?",
        ),
        (
            "sources:\n  a:\n    files: x\n    format: cvs\n",
            4,
            "sources.a.format",
            "did you mean 'csv'? allowed: ndjson",
        ),
        ("sources:\n  a: {files: x}\n", 2, "sources.a.format", "is missing"),
        ("sources:\n  a: {database: x}\n", 2, "sources.a.table", "is missing: schema.table in it"),
        ("sources:\n  a: {database: x, tabel: y.z}\n", 2, "sources.a.table", "did you mean 'table'? allowed: database"),
        (
            "sources:\n  a:\n    files: x\n    format: csv\n    csv:\n      delimitr: ;\n",
            6,
            "sources.a.csv.delimitr",
            "did you mean 'delimiter'? allowed: columns, delimiter",
        ),
        ("sources:\n  A-b: {files: x, format: csv}\n", 2, "sources.A-b", "'A-b' must be"),
        ("sources:\n  a: {files: ../x, format: csv}\n", 2, "sources.a.files", "may not contain `..`"),
        ("sources:\n  a: {files: x, format: csv, max_bad: 5}\n", 2, "sources.a.max_bad", "not 5"),
        ("sources:\n  a: {files: x, format: csv, max_age: soon}\n", 2, "sources.a.max_age", "'soon' must be"),
        ("sources:\n  a: {files: x, format: lines, expect: {b: int}}\n", 2, "sources.a", "`lines` has none"),
        ("sources:\n  a: {files: x, format: csv, expect: {b: 'int);'}}\n", 2, "sources.a.expect", "is not a type"),
        ("sources:\n  a: {files: x, format: ndjson, csv: {}}\n", 2, "sources.a", "the format is ndjson"),
        (
            "sources:\n  a:\n    files: x\n    format: csv\n    loaded_through: {lag: 2}\n",
            5,
            "sources.a.loaded_through.lag",
            "'2' is not a duration; write one like",
        ),
        (
            "sources:\n  a:\n    files: x\n    format: csv\n    loaded_through: {closes: dya}\n",
            5,
            "sources.a.loaded_through.closes",
            "did you mean 'day'? allowed: day, hour",
        ),
        (
            "sources:\n  a:\n    files: x\n    format: csv\n    loaded_through: {}\n",
            5,
            "sources.a.loaded_through",
            "give one of `lag: 2 hours`, `closes: day` (or hour), `marker:",
        ),
        (
            "sources:\n  a:\n    files: x\n    format: csv\n    loaded_through: {lag: 1 hour, closes: day}\n",
            5,
            "sources.a.loaded_through",
            "give one of",
        ),
        (
            "sources:\n  a:\n    files: x\n    format: csv\n    loaded_through: {marker: ../x}\n",
            5,
            "sources.a.loaded_through",
            "may not contain `..`",
        ),
        (
            "sources:\n  a:\n    database: x\n    table: y.z\n    loaded_through: {closes: day}\n",
            5,
            "sources.a.loaded_through",
            "a table has no files: only `lag`",
        ),
        ("sources:\n  a: {files: x, format: csv, events: []}\n", 2, "sources.a.events", "at least 1 item, not 0"),
        ("sources:\n  a: {files: x, format: csv, events: [a, '']}\n", 2, "sources.a.events[1]", "at least 1 char"),
        ("sources:\n  a: text\n", 2, "sources.a", "must be a mapping (key: value), not text"),
        ("sources:\n- a\n", 1, "sources", "must be a mapping (key: value), not a list"),
        ("sources:\n  a: {}\n  b: {}\n  a: {}\n", 4, "sources.a", "the key is already on line 2"),
        ("sources:\n  a: [x\n  b: y\n", 3, None, "is not valid YAML"),
        ("sources:\n\ta: x\n", 2, None, "is not valid YAML"),
        ("", None, None, "is empty; it needs `sources`"),
        ("other: 1\nsources: {}\n", 1, "other", "unknown key; allowed: packages, sources"),
    ],
)
def test_a_mistake_is_told_with_its_place(file, text, line, key, says):
    """Every kind of mistake names the line and key where it stands, and what would be right."""
    error = refusal(file(text))
    assert (error.line, error.key) == (line, key)
    assert says in str(error)
    assert "given.yml" in str(error)
    assert "For further information" not in str(error)


def test_all_mistakes_are_told_at_once_in_order(file):
    """Several mistakes are one message, in the order of the file."""
    text = "sources:\n  a:\n    fils: x\n    format: csv\n  b:\n    files: x\n    format: csv\n    max_bad: lots\n"
    said = str(refusal(file(text))).splitlines()
    assert [line.split("given.yml:")[1].split(":")[0] for line in said] == ["2", "3", "8"]


def test_a_missing_or_unreadable_file_is_the_users_mistake(tmp_path):
    """No file, a folder and bytes that are not UTF-8 are refused without a traceback of ours."""
    assert "No such file" in str(refusal(tmp_path / "absent.yml"))
    assert "cannot be read" in str(refusal(tmp_path))
    (tmp_path / "latin.yml").write_bytes("zone: Zürich".encode("latin-1"))
    assert "is not UTF-8 text (byte 7)" in str(refusal(tmp_path / "latin.yml"))


def test_byte_order_mark_anchors_and_merges_are_read(file):
    """A BOM is skipped, and a merged mapping is not mistaken for a doubled key."""
    text = "sources:\n  a: &a {files: x, format: csv}\n  b:\n    <<: *a\n    files: y\n"
    found = configuration.load(file(text, "utf-8-sig"), Sources).sources
    assert [source.files for source in found.values() if isinstance(source, FileSource)] == ["x", "y"]


def test_a_part_of_another_file_is_read_with_its_own_lines(file):
    """A list in a dbt file is validated entry by entry, and errors carry the line in that file."""
    document = configuration.parse(
        file(
            "models:\n  - name: seg_x\n    config:\n      meta:\n        syncs:\n"
            "          - sink: crm\n          - sink: crm\n            mode: mirorr\n"
        )
    )
    at = ("models", 0, "config", "meta", "syncs")
    assert document.read(SyncEntry, *at, 0).sink == "crm"
    assert document.where(*at, 1) == 7
    assert document.where(*at, 1, "not", "there") == 7
    with pytest.raises(ConfigError, match="did you mean 'mirror'") as caught:
        document.read(SyncEntry, *at, 1)
    assert (caught.value.line, caught.value.key) == (8, "models[0].config.meta.syncs[1].mode")


@pytest.mark.parametrize("zone", ["Mars", "Europe", "localtime", "posixrules", "right/UTC", "../zoneinfo/UTC", "''"])
@pytest.mark.parametrize("key", ["zone", "default_zone"])
def test_a_zone_must_exist(file, key, zone):
    """A zone is one that the machine and the warehouse know by the same name."""
    error = refusal(file(f"salt: a\n{key}: {zone}\n"), Policy)
    assert (error.line, error.key) == (2, key)
    assert f"{zone.strip(chr(39))}' is not a time zone; write one like Europe/Berlin, or UTC" in str(error)


def test_the_zone_is_there_to_compute_with(file):
    """The project's zone comes back as Python's."""
    assert configuration.load(file("zone: Europe/Berlin\nsalt: a\n"), Policy).zone_info.key == "Europe/Berlin"


@pytest.mark.parametrize(
    ("text", "key", "says"),
    [
        ("max_send: 10", "max_send", "less than or equal to 1"),
        ("max_send: 200%", "max_send", "less than or equal to 1"),
        ("global_holdout: true", "global_holdout", "must be a number, not true"),
        ("caps: [{max: true, per: 1 day}]", "caps[0].max", "must be a number, not true"),
    ],
)
def test_a_number_that_makes_no_sense_is_refused(file, text, key, says):
    """A share is at most all, and true is no number."""
    error = refusal(file(f"salt: a\n{text}\n"), Policy)
    assert (error.line, error.key) == (2, key)
    assert says in str(error)


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("caps: [{max: 1, per: 999999999 days}]", "caps[0].per"),
        ("cap_window: 1000000000 days", "cap_window"),
        (f"repeat_window: {'9' * 5000} weeks", "repeat_window"),
    ],
)
def test_a_duration_has_an_end(file, text, key):
    """No duration is so long that the warehouse cannot count it."""
    error = refusal(file(f"salt: a\n{text}\n"), Policy)
    assert (error.line, error.key) == (2, key)
    assert "longer than ten years; allowed: at most 3650 days" in str(error)


def test_a_table_in_place_is_told_from_a_folder(file):
    """An entry with `database` is a table in place, one with `files` a folder."""
    text = "sources:\n  a: {database: d.duckdb, table: main.t}\n  b: {files: x, format: csv, max_age: 26 hours}\n"
    found = configuration.load(file(text), Sources).sources
    assert isinstance(found["a"], TableSource)
    assert isinstance(found["b"], FileSource)
    assert found["b"].freshness.total_seconds() == 26 * 3600


def test_a_cap_that_would_hold_nobody_is_refused(file):
    """Transactional messages skip caps: one for them is a mistake, told with its line and the reason."""
    with pytest.raises(ConfigError) as caught:
        configuration.load(file("salt: s\ncaps:\n  - max: 1\n    per: 1 day\n    purpose: Transactional\n"), Policy)
    assert (caught.value.line, caught.value.key) == (5, "caps[0].purpose")
    assert "transactional messages skip caps: this one would hold nobody" in str(caught.value)
    assert configuration.load(file("salt: s\ncaps: [{max: 1, per: 1 day, purpose: news}]\n"), Policy).caps


def test_a_source_says_what_it_sends_and_until_when_it_is_loaded(file):
    """Events and each of the three ways are read; a table in place knows only how far it lags."""
    text = (
        "sources:\n"
        "  a: {files: x, format: csv, events: [Signed Up], loaded_through: {closes: hour}}\n"
        "  b: {files: x, format: csv, loaded_through: {marker: 'done/*'}}\n"
        "  c: {database: d.duckdb, table: main.t, events: [Paid], loaded_through: {lag: 90 minutes}}\n"
        "  d: {files: x, format: csv}\n"
    )
    found = configuration.load(file(text), Sources).sources
    assert found["a"].events == ("Signed Up",)
    assert found["a"].loaded_through.closes == "hour"
    assert found["b"].loaded_through.marker == "done/*"
    assert found["c"].loaded_through.lag.total_seconds() == 90 * 60
    assert (found["d"].events, found["d"].loaded_through) == (None, None)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=8),
        lambda inner: (
            st.lists(inner)
            | st.dictionaries(
                st.sampled_from(["sources", "a", "files", "format", "csv", "table", "database", "columns"]), inner
            )
        ),
        max_leaves=12,
    )
)
def test_no_shape_of_data_breaks_the_messages(tmp_path_factory, data):
    """Whatever YAML holds, reading it gives the contract or a ConfigError, nothing else."""
    path = tmp_path_factory.mktemp("any") / "any.yml"
    path.write_text(yaml.safe_dump(data, allow_unicode=True), encoding="utf-8")
    with suppress(ConfigError):
        assert configuration.load(path, Sources).sources is not None
