"""A file of the landing folder while it grows: hidden, locked by whoever writes it, whole up to the last answered line.

Readers of the folder see it when it is finished. What a killed process left is finished by the next one that starts.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

END = b"\n"
_LOOKED_AT = 64 << 10  # bytes read at once in search of the last whole line
_HIDDEN, _UNFINISHED = ".", ".part"


class Part:
    """A file that was begun and is not finished. For one thread."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self._path = path
        self._descriptor = descriptor
        self.size = 0  # of what is on the disk for certain
        self.is_sound = True  # False: what follows `size` could not be taken off again

    @classmethod
    def begin(cls, folder: Path, name: str) -> Part:
        """A file that will be called `name`, and will be there after a power cut. Raises OSError."""
        path = folder / f"{_HIDDEN}{name}{_UNFINISHED}"
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL, 0o640)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if not _is_at(path, descriptor):  # another process that starts took it for abandoned
                raise BlockingIOError
            sync_folder(folder)
        except OSError:
            os.close(descriptor)
            raise
        return cls(path, descriptor)

    def append(self, data: bytes) -> None:
        """On the disk when this returns. Raises OSError: nothing of it is in the file then, where it `is_sound`."""
        try:
            _write(self._descriptor, data)
            os.fsync(self._descriptor)
        except OSError:
            self.is_sound = False
            os.ftruncate(self._descriptor, self.size)
            os.fsync(self._descriptor)
            self.is_sound = True
            raise
        self.size += len(data)

    def finish(self) -> None:
        """Give it its name, durable with the next `sync_folder`; an empty one goes. Raises OSError: it is as it was."""
        _publish(self._path, is_empty=self.size == 0)
        self.leave()

    def leave(self) -> None:
        """Write it no more. One without its name gets it from the next process that starts, less what is not whole."""
        os.close(self._descriptor)


def recover(folder: Path) -> list[Path]:
    """Finish what processes that are gone left: a torn last line is cut off, the rest gets its name. Raises OSError.

    Returns the files that can be read now.
    """
    found = [*_recovered(sorted(folder.glob(f"{_HIDDEN}gateway-*{_UNFINISHED}")))]
    sync_folder(folder)
    return found


def _recovered(paths: list[Path]) -> Iterator[Path]:
    for path in paths:
        try:
            descriptor = os.open(path, os.O_RDWR)
        except FileNotFoundError:  # somebody else was faster
            continue
        try:
            if not _is_ours(path, descriptor):
                continue
            size = _whole(descriptor)
            os.ftruncate(descriptor, size)
            os.fsync(descriptor)
            finished = _publish(path, is_empty=size == 0)
        finally:
            os.close(descriptor)
        if size:
            yield finished


def _is_ours(path: Path, descriptor: int) -> bool:
    """Whether nobody alive writes it, nor has finished it meanwhile; it is locked then."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return _is_at(path, descriptor)


def _is_at(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def _whole(descriptor: int) -> int:
    """Bytes up to the end of the last whole line."""
    end = os.fstat(descriptor).st_size
    while end > 0:
        begin = max(0, end - _LOOKED_AT)
        if (found := os.pread(descriptor, end - begin, begin).rfind(END)) >= 0:
            return begin + found + 1
        end = begin
    return 0


def _write(descriptor: int, data: bytes) -> None:
    """All of it: the system may take less at once."""
    left = memoryview(data)
    while left:
        left = left[os.write(descriptor, left) :]


def _publish(path: Path, *, is_empty: bool) -> Path:
    finished = path.with_name(path.name.removeprefix(_HIDDEN).removesuffix(_UNFINISHED))
    if is_empty:
        path.unlink()
    else:
        path.rename(finished)
    return finished


def sync_folder(folder: Path) -> None:
    """Make what was created or renamed in `folder` durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
