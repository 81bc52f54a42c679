"""What is said of a database in which results would differ."""

from pathlib import Path
from urllib.parse import urlsplit

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


def test_another_order_of_texts_is_told(server, tmp_path):
    """Whoever runs the doctor hears by which locale, and what to do."""
    url = urlsplit(server)._replace(path="/ordered").geturl()
    with Postgres(server) as opened:
        opened.execute("create database ordered template template0 locale_provider icu icu_locale 'en'")
    try:
        (found,) = doctor.examine(Settings(tmp_path, tmp_path, warehouse_url=url))
    finally:
        with Postgres(server) as opened:
            opened.execute("drop database ordered")
    assert "orders texts by a locale of ICU" in found.what
    assert "pg_dump" in found.remedy
