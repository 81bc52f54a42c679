"""The only reader of the environment: `TAILRACE_*` and the secrets that sinks.yml names, as one Settings value."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from models.errors import UserError
from models.settings import Settings, Target

CHECKOUT = Path(__file__).resolve().parent.parent
MEMORY = re.compile(r"\d+(\.\d+)? ?[KMGT]i?B", re.IGNORECASE)
ENGINES = ("duckdb:///", "postgresql://", "sc://")
TARGETS: dict[str, Target] = {"dev": "dev", "prod": "prod"}


def settings(environ: Mapping[str, str] | None = None) -> Settings:
    """The settings that the environment asks for. Raises UserError for a target that does not exist."""
    values = dict(os.environ if environ is None else environ)
    project = Path(values.get("TAILRACE_PROJECT") or CHECKOUT).expanduser().resolve()
    home = Path(values.get("TAILRACE_HOME") or project / ".tailrace").expanduser().resolve()
    name = values.get("TAILRACE_TARGET") or "dev"
    if name not in TARGETS:
        message = f"TAILRACE_TARGET is '{name}'; it may be {' or '.join(TARGETS)}"
        raise UserError(message)
    return Settings(
        project=project,
        home=home,
        target=TARGETS[name],
        recorder=(values.get("TAILRACE_RECORDER") or Settings.recorder).rstrip("/"),
        gateway=(values.get("TAILRACE_GATEWAY") or Settings.gateway).rstrip("/"),
        alert_url=values.get("TAILRACE_ALERT_URL") or None,
        warehouse_url=warehouse(values.get("TAILRACE_WAREHOUSE")),
        journal_url=journal(values.get("TAILRACE_JOURNAL")),
        memory_limit=_memory_limit(values.get("TAILRACE_MEMORY_LIMIT")),
        environ=values,
    )


def warehouse(given: str | None) -> str | None:
    """The URL of a warehouse, or None for the target's own file. Raises UserError for another engine."""
    if not given or given.startswith(ENGINES):
        return given or None
    scheme, sign, _ = given.partition("://")  # no more of it: it may hold a password
    begins = f"begins with '{scheme}{sign}'" if sign else "is none"
    message = f"the warehouse's URL {begins}; it may begin with {' or '.join(ENGINES)}"
    raise UserError(message)


def journal(given: str | None) -> str | None:
    """The URL of a journal's database, or None for the target's own file. Raises UserError for anything else."""
    if not given or _names_a_database(given):
        return given or None
    message = (  # no more of it: it may hold a password
        "TAILRACE_JOURNAL is no address of a PostgreSQL database; write postgresql://user:password@host/database, "
        "or leave it out: then the journal is a file of this machine"
    )
    raise UserError(message)


def _names_a_database(url: str) -> bool:
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return parts.scheme == "postgresql" and parts.path.strip("/") != ""


def _memory_limit(given: str | None) -> str | None:
    if not given:
        return None
    if not MEMORY.fullmatch(given):
        message = f"TAILRACE_MEMORY_LIMIT is '{given}'; write a number and KB, MB, GB or TB, like 4GB"
        raise UserError(message)
    return given


def child(settings: Settings, **extra: str) -> dict[str, str]:
    """The environment of a process that must see the same settings."""
    return {
        **settings.environ,
        "TAILRACE_PROJECT": str(settings.project),
        "TAILRACE_HOME": str(settings.home),
        "TAILRACE_TARGET": settings.target,
        "TAILRACE_RECORDER": settings.recorder,
        "TAILRACE_GATEWAY": settings.gateway,
        "TAILRACE_WAREHOUSE": settings.warehouse_url or "",
        "TAILRACE_JOURNAL": settings.journal_url or "",
        "TAILRACE_MEMORY_LIMIT": settings.memory_limit or "",
        **extra,
    }
