"""What is said of a database in which results would differ."""

from pathlib import Path
from urllib.parse import urlsplit

import pytest

from models.settings import Settings
from orchestration import doctor
from warehouse.engine import engine
from warehouse.postgres import Postgres


def of(url: str | None) -> Settings:
    return Settings(Path("/nowhere"), Path("/nowhere"), warehouse_url=url)


def test_where_texts_are_ordered_by_their_bytes_nothing_is_said(database):
    """DuckDB's way, and that of a database made as the docs say."""
    assert engine(of(None)).remarks() == []
    assert engine(of(database)).remarks() == []


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        ("locale_provider icu icu_locale 'en'", ["orders texts by a locale of ICU", "every letter small"]),
        ("lc_collate 'C' lc_ctype 'C'", ["every letter small"]),
    ],
)
def test_another_locale_is_told(server, tmp_path, made, expected):
    """Whoever runs the doctor hears what differs, and what to do."""
    url = urlsplit(server)._replace(path="/another").geturl()
    with Postgres(server) as opened:
        opened.execute(f"create database another template template0 {made}")
    try:
        found = list(doctor.examine(Settings(tmp_path, tmp_path, warehouse_url=url)))
    finally:
        with Postgres(server) as opened:
            opened.execute("drop database another")
    assert len(found) == len(expected)
    for remark, part in zip(found, expected, strict=True):
        assert part in remark.what
        assert "pg_dump" in remark.remedy
