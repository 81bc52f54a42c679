"""The sensor that sees files land and launches `refresh`: once for each new state of the landing folders."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

import dagster as dg

from assets import configuration
from assets.files import File, find
from models.settings import Settings
from models.source import FileSource
from orchestration import run_clock

QUIET_SECONDS = 2.0  # a file written to within this time may not be whole yet
UNFINISHED = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
]


@dataclass(frozen=True)
class Landed:
    """What lies in the landing folders: how many files, when one was last written, and a digest of all of it."""

    files: int
    newest: float  # seconds since the epoch
    digest: str


def sensor(settings: Settings, job: str) -> dg.SensorDefinition:
    """A file lands → `job`."""

    @dg.sensor(
        name="file_landed",
        job_name=job,
        minimum_interval_seconds=5,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="A file lands in a source's folder: refresh.",
    )
    def file_landed(context: dg.SensorEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        landed = look(landed_files(settings))
        if landed.files == 0 or landed.digest == context.cursor:
            return dg.SkipReason(f"nothing new among {landed.files:,} files")
        now = datetime.now(UTC)
        if now.timestamp() - landed.newest < QUIET_SECONDS:
            return dg.SkipReason("a file is still being written")
        if busy(context.instance, job):
            return dg.SkipReason(f"{job} is running; what landed meanwhile comes next")
        context.update_cursor(landed.digest)
        return dg.RunRequest(run_key=landed.digest, tags=run_clock.tags(now))

    return file_landed


def landed_files(settings: Settings) -> list[File]:
    """Every file that a source of sources.yml would read."""
    sources = configuration.sources(settings).values()
    patterns = sorted({source.files for source in sources if isinstance(source, FileSource)})
    return [file for pattern in patterns for file in find(settings.landing, pattern)]


def look(files: Iterable[File]) -> Landed:
    """The state of these files by name, size and time."""
    digest, newest, count = hashlib.sha256(), 0, 0
    for file in files:
        digest.update(f"{file.name}\0{file.size}\0{file.modified_us}\n".encode())
        newest, count = max(newest, file.modified_us), count + 1
    return Landed(count, newest / 1e6, digest.hexdigest()[:32])


def busy(instance: dg.DagsterInstance, job: str) -> bool:
    """Whether a run of `job` is waiting or running."""
    return instance.get_runs_count(dg.RunsFilter(job_name=job, statuses=UNFINISHED)) > 0
