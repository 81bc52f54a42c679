"""A newcomer types the lines of docs/engines.md and has the whole loop on Spark."""

import os
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.engines import spark_serving
from tests.engines.serving import STARTED

ROOT = Path(__file__).parents[2]
SMALL = "--people 20 --days 2 --nights 2"  # of each option the last one counts
PORT = "15002"  # of the page

pytestmark = [pytest.mark.slow, pytest.mark.spark, pytest.mark.sampled(one_of=0)]


def lines() -> list[str]:
    """The page's first block of commands below its heading."""
    page = (ROOT / "docs" / "engines.md").read_text()
    block = re.search(r"^## Spark\n+```sh\n(.*?)```", page, re.DOTALL | re.MULTILINE)
    assert block
    return block[1].splitlines()


@contextmanager
def server(line: str, folder: Path, port: str) -> Iterator[None]:
    """What the line starts, until the block ends."""
    environ = {**os.environ, "SPARK_DATA": str(folder), "SPARK_PORT": port}
    command = ["setpriv", "--pdeathsig", "TERM", "--", "bash", "-c", f"exec {line}"]
    with (folder / "log").open("wb") as log:
        begun = subprocess.Popen(command, cwd=ROOT, env=environ, stdout=log, stderr=log)
    try:
        spark_serving.answers(int(port), begun, folder)
        assert "Spark Connect server started" in (folder / "log").read_text()
        yield
    finally:
        spark_serving.end(begun)


def test_the_lines_of_the_page_run(tmp_path):
    """As they stand, at a port that is free, on a smaller shop."""
    if not os.environ.get(STARTED) or spark_serving.home() is None:
        pytest.skip(f"no Spark is started: `make spark` gets it, {STARTED}=1 starts it")
    starts, typed = lines()
    port, home = str(spark_serving.free()), tmp_path / "home"
    with server(starts, tmp_path, port):
        command = f"{typed.replace(PORT, port)} {SMALL}"
        environ = {**os.environ, "TAILRACE_HOME": str(home)}
        done = subprocess.run(
            ["bash", "-c", command], cwd=ROOT, env=environ, capture_output=True, text=True, check=False
        )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "syncs on" in done.stdout
    assert "0 sent" not in done.stdout
    assert not list(home.rglob("warehouse.duckdb"))
