"""Folds the journal now and then while a delivery sends, so that the last fold is short and others see progress."""

from __future__ import annotations

import threading
from datetime import UTC, datetime
from types import TracebackType
from typing import Self

from assets.fold import Folder
from assets.opening import Opener
from assets.store import writing
from models.errors import TailraceError
from models.settings import Settings
from sinks.journal import Journal

EVERY_SECONDS = 30.0
PATIENCE_SECONDS = 5.0  # … for a busy warehouse


class Folding:
    """A thread that folds for the length of a block. A fold that cannot be done is tried again at the next turn."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._over = threading.Event()
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="folding", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()
        if self._error and error is None:
            raise self._error

    def _run(self) -> None:
        try:
            while not self._over.wait(EVERY_SECONDS):
                self._fold()
        except BaseException as error:  # noqa: BLE001 - raised by the block that started this
            self._error = error

    def _fold(self) -> None:
        try:
            with (
                writing(self._settings, wait_seconds=PATIENCE_SECONDS, how="beside") as warehouse,
                Journal(self._settings.journal) as journal,
            ):
                Folder(warehouse, journal, Opener(self._settings, warehouse, journal)).fold(datetime.now(UTC))
        except TailraceError:
            return  # the warehouse is busy, or its server begun again: the last fold says what remains
