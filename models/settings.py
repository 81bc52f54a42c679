"""Where a target lives on disk. Read from the environment in one place, orchestration/environment.py."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path
from typing import Literal

from models.journal_place import JournalServer, Place

Target = Literal["dev", "prod"]


@dataclass(frozen=True)
class Settings:
    """One target of one project. Paths are absolute; `environ` holds secrets and never appears in a repr."""

    project: Path  # the checkout: sources.yml, sinks.yml, policy.yml, dbt_project/
    home: Path  # TAILRACE_HOME
    target: Target = "dev"
    recorder: str = "http://127.0.0.1:8790"  # TAILRACE_RECORDER: where every request goes in dev
    gateway: str = "http://127.0.0.1:8791"  # TAILRACE_GATEWAY: where people and providers reach the gateway
    alert_url: str | None = None  # TAILRACE_ALERT_URL
    warehouse_url: str | None = field(default=None, repr=False)  # TAILRACE_WAREHOUSE: may hold a password; None: a file
    journal_url: str | None = field(default=None, repr=False)  # TAILRACE_JOURNAL: may hold a password; None: a file
    memory_limit: str | None = None  # TAILRACE_MEMORY_LIMIT: of the warehouse engine; None leaves it to the engine
    environ: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def root(self) -> Path:
        """Everything of this target: nothing in it is shared with another."""
        return self.home / self.target

    @property
    def fingerprint(self) -> str:
        """What tells this target from any other, without its path."""
        return blake2b(str(self.root).encode(), digest_size=8).hexdigest()

    @property
    def warehouse(self) -> Path:
        """The file of DuckDB, where that is the engine."""
        if self.warehouse_url and self.warehouse_url.startswith("duckdb:///"):
            return Path(self.warehouse_url.removeprefix("duckdb://"))
        return self.root / "warehouse.duckdb"

    @property
    def published(self) -> Path:
        return self.warehouse.with_name("published.duckdb")

    @property
    def journal(self) -> Place:
        """A file, or a schema of this target's own in the database that machines share."""
        if self.journal_url is None:
            return self.root / "journal.sqlite"
        return JournalServer(self.journal_url, f"tailrace_{'' if self.target == 'prod' else f'{self.target}_'}journal")

    @property
    def recorder_db(self) -> Path:
        return self.root / "recorder.sqlite"

    @property
    def spool(self) -> Path:
        return self.root / "spool"

    @property
    def landing(self) -> Path:
        return self.root / "landing"

    @property
    def outcomes(self) -> Path:
        """The landing folder of the source `outcomes`: what became of messages."""
        return self.landing / "outcomes"

    @property
    def out(self) -> Path:
        return self.root / "out"

    @property
    def locks(self) -> Path:
        return self.root / "locks"

    @property
    def dbt_project(self) -> Path:
        return self.project / "dbt_project"

    @property
    def dbt_target(self) -> Path:
        """Where dbt writes its manifest and logs for this target."""
        return self.root / "dbt"
