"""The checkout's project, copied so that a test may change it, with what dbt found in it: parsed once a test run."""

from __future__ import annotations

import fcntl
import os
import shutil
from pathlib import Path

from assets import dbt_project
from models.settings import Settings

ROOT = Path(__file__).parents[1]
FILES = ("sources.yml", "sinks.yml", "policy.yml")
FOLDER = "TAILRACE_TESTS_PARSED"  # what all workers of a run share; tests/conftest.py makes it


def project(folder: Path) -> Path:
    """A copy of the checkout's project and settings in this folder."""
    shutil.copytree(ROOT / "dbt_project", folder / "dbt_project", ignore=shutil.ignore_patterns("target", "logs"))
    for name in FILES:
        shutil.copy(ROOT / name, folder / name)
    return folder


def target_into(settings: Settings) -> Settings:
    """These settings, of such a copy and an empty home, with the parse in place: it saves some seconds."""
    shared = Path(os.environ[FOLDER])
    parsed = Settings(project=shared / "project", home=shared / "home")
    with (shared / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not parsed.project.exists():
            project(parsed.project)
            dbt_project.manifest(parsed)
    shutil.copytree(parsed.dbt_target, settings.dbt_target)
    return settings
