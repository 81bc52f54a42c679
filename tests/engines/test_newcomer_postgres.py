"""A newcomer types the lines of docs/engines.md and has the whole loop on PostgreSQL."""

import os
import re
import subprocess
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from warehouse.postgres import Postgres

pytestmark = [pytest.mark.slow, pytest.mark.sampled]

ROOT = Path(__file__).parents[2]
DATABASE, SMALL = "marketing", "--people 60 --days 2"
LINES = 3  # what installs, what makes the database, what runs


def lines() -> list[str]:
    """The page's first block of commands below its heading."""
    page = (ROOT / "docs" / "engines.md").read_text()
    block = re.search(r"^## PostgreSQL\n+```sh\n(.*?)```", page, re.DOTALL | re.MULTILINE)
    assert block
    return block[1].splitlines()


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
