"""A newcomer types the lines of docs/engines.md and has the whole loop on PostgreSQL."""

import os
import re
import subprocess
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from models.settings import Settings
from warehouse.postgres import Postgres
from warehouse.postgres_engine import SOCKETS, PostgresEngine

ROOT = Path(__file__).parents[2]
DATABASE, SMALL = "marketing", "--people 60 --days 2"
LINES = 3  # what installs, what makes the database, what runs


def lines() -> list[str]:
    """The page's first block of commands below its heading."""
    page = (ROOT / "docs" / "engines.md").read_text()
    block = re.search(r"^## PostgreSQL\n+```sh\n(.*?)```", page, re.DOTALL | re.MULTILINE)
    assert block
    return block[1].splitlines()


@pytest.mark.parametrize(
    ("url", "environ", "host", "port", "user"),
    [
        ("postgresql:///d", {"PGUSER": "ann"}, str(SOCKETS) if SOCKETS.is_dir() else "", 5432, "ann"),
        ("postgresql:///d", {"PGHOST": "db", "PGPORT": "5433", "PGUSER": "ann"}, "db", 5433, "ann"),
        ("postgresql:///d?host=/tmp/here", {"PGHOST": "db", "PGUSER": "ann"}, "/tmp/here", 5432, "ann"),
        ("postgresql://bea@other:5434/d", {"PGHOST": "db", "PGPORT": "5433", "PGUSER": "ann"}, "other", 5434, "bea"),
    ],
)
def test_what_a_url_leaves_out_is_the_environments(tmp_path, url, environ, host, port, user):
    """For dbt and for the port alike; where nothing names a host it is the folder of Debian's sockets."""
    found = PostgresEngine(Settings(ROOT, tmp_path, warehouse_url=url, environ=environ))
    profile = found.profile()
    assert (profile["host"], profile["port"], profile["user"]) == (host, port, user)
    assert (found.url == url) is ("PGHOST" in environ or not SOCKETS.is_dir())


@pytest.mark.slow
@pytest.mark.sampled
def test_the_lines_of_the_page_run(server, tmp_path):
    """The first installs Debian's server, which is here already; the others run as they stand, on a smaller shop."""
    installs, *typed = lines()
    assert len(typed) == LINES - 1
    assert installs.startswith("sudo apt-get install postgresql ")
    parts, name = urlsplit(server), f"{DATABASE}_of_a_newcomer"
    environ = {
        **os.environ,
        "PGHOST": parts.hostname or "",
        "PGPORT": str(parts.port or ""),
        "PGUSER": parts.username or "",
        "PGPASSWORD": parts.password or "",
        "TAILRACE_HOME": str(tmp_path),
    }
    said = ""
    try:
        for line in typed:
            command = line.replace(DATABASE, name) + (f" {SMALL}" if "tailrace" in line else "")
            done = subprocess.run(
                ["bash", "-c", command], cwd=ROOT, env=environ, capture_output=True, text=True, check=False
            )
            said = done.stdout
            assert done.returncode == 0, done.stdout + done.stderr
        with Postgres(parts._replace(path=f"/{name}").geturl()) as opened:
            count = "select count(*) as n from tailrace_dev_models.profiles"
            assert opened.rows(count)[0]["n"] > 0
    finally:
        with Postgres(server) as opened:
            opened.execute(f"drop database if exists {name} with (force)")
    assert "syncs on" in said
    assert "0 sent" not in said
    assert not list(tmp_path.rglob("warehouse.duckdb"))
