"""A newcomer types the lines of docs/engines.md and has the whole loop on PostgreSQL."""

import os
import re
import subprocess
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from models.errors import UserError
from models.settings import Settings
from warehouse.postgres import Postgres
from warehouse.postgres_engine import PostgresEngine
from warehouse.postgres_url import SOCKETS

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


def test_what_a_url_says_of_tls_is_told_to_dbt(tmp_path):
    """By the variables that its client reads; a password in the query is one, too, and is not shown."""
    url = "postgresql://db/d?sslmode=verify-full&sslrootcert=/ca.pem&user=bea&password=secret&port=6432"
    found = PostgresEngine(Settings(ROOT, tmp_path, warehouse_url=url))
    assert (found.profile()["host"], found.profile()["port"], found.profile()["user"]) == ("db", 6432, "bea")
    told = found.environment()
    assert (told["PGSSLMODE"], told["PGSSLROOTCERT"]) == ("verify-full", "/ca.pem")
    assert "secret" in told.values()
    assert "secret" not in str(found.profile())


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("postgresql://db/", "names no database"),
        ("postgresql://bea:secret@db/d?service=x", "'service' cannot be passed to dbt"),
        ("postgresql://bea:secret@one:1,two:2/d", "one host and one port"),
        ("postgresql://bea:secret@db/d?nothing=1", "no address of a server"),
    ],
)
def test_a_url_that_cannot_be_used_is_refused(tmp_path, url, said):
    """With what may be written, and without the password."""
    with pytest.raises(UserError, match=said) as refused:
        PostgresEngine(Settings(ROOT, tmp_path, warehouse_url=url))
    assert "secret" not in str(refused.value)


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
