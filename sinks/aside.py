"""Files that are whole or not there: written aside, synced to the disk, then renamed."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from models.errors import NeedsPerson, StorageFull

FULL = frozenset({errno.ENOSPC, errno.EDQUOT})


@contextmanager
def written_aside(path: Path) -> Iterator[BinaryIO]:
    """A file that takes the name `path`, durably, when the block ends well; otherwise nothing is left of it.

    Raises StorageFull, or NeedsPerson where the folder cannot be written.
    """
    aside = path.with_name(f".{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with aside.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        aside.rename(path)
        _sync_folder(path.parent)
    except OSError as error:
        if error.errno in FULL:
            message = f"{path}: no space left; free some and run the command again, nothing is lost"
            raise StorageFull(message) from error
        message = f"{path}: cannot be written ({error.strerror or error})"
        raise NeedsPerson(message) from error
    finally:
        with suppress(OSError):
            aside.unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    """Make a rename in `folder` durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
