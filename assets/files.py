"""Files that land in a folder: found by glob, read with their compression taken off, known by what they hold.

What their lines mean is in lines.py and csv_records.py, what becomes of them in ingest.py.
"""

from __future__ import annotations

import glob
import hashlib
import os
import stat
import time
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

import zstandard

from models.errors import TailraceError

CHUNK = 4 << 20
KEPT = 32 << 20  # content up to this size is read once: hashed and loaded from the same bytes
BEING_WRITTEN = (".tmp", ".part", ".partial", ".filepart", ".crdownload", "~")
STILL_WARM = 600  # seconds after its last change in which a cut-off file counts as still being written

GZIP, ZSTD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"


class Unreadable(TailraceError):
    """A file cannot be read to its end; the text says why. `cut_off`: it ends too early."""

    def __init__(self, reason: str, *, cut_off: bool = False) -> None:
        super().__init__(reason)
        self.cut_off = cut_off


@dataclass(frozen=True)
class File:
    """A file as the folder showed it. `name` is what is recorded: below the landing folder, or absolute."""

    name: str
    path: Path
    size: int
    modified_us: int

    @property
    def modified_at(self) -> datetime:
        """When it was last changed, in UTC, to the microsecond."""
        return datetime.fromtimestamp(self.modified_us // 1_000_000, UTC).replace(microsecond=self.modified_us % 10**6)

    @property
    def is_warm(self) -> bool:
        """Whether it changed so lately (by the machine's clock) that someone may still be writing it."""
        return time.time() - self.modified_us / 1e6 < STILL_WARM

    def still(self) -> bool:
        """Whether size and time of change are what they were when the file was found."""
        now = _file(self.name, self.path)
        return now == self


@dataclass(frozen=True)
class Content:
    """A file and the sha256 of what it holds, its compression taken off; `kept` are those bytes where they are few."""

    file: File
    sha256: str
    kept: bytes | None

    def chunks(self) -> Iterator[bytes]:
        """The same bytes again. Raises Unreadable when the file no longer holds what was hashed."""
        if self.kept is not None:
            yield from (self.kept,) if self.kept else ()
            return
        digest = hashlib.sha256()
        for chunk in chunks(self.file.path):
            digest.update(chunk)
            yield chunk
        if digest.hexdigest() != self.sha256:
            raise Unreadable("it changed while it was read", cut_off=True)


def find(folder: Path, pattern: str) -> list[File]:
    """Regular files below `folder` (or anywhere, when absolute) that match, by name; names of unfinished ones not."""
    absolute = Path(pattern).is_absolute()
    # not Path.glob: that one matches hidden files
    found = glob.glob(pattern, root_dir=None if absolute else folder, recursive=True)  # noqa: PTH207
    finished = sorted(name for name in set(found) if not name.endswith(BEING_WRITTEN))
    files = (_file(_text(name), Path(name) if absolute else folder / name) for name in finished)
    return [file for file in files if file]


def read(file: File) -> Content:
    """Hash what the file holds. Raises Unreadable."""
    digest, kept, size = hashlib.sha256(), [], 0
    for chunk in chunks(file.path):
        digest.update(chunk)
        size += len(chunk)
        if size <= KEPT:
            kept.append(chunk)
        else:
            kept.clear()
    return Content(file, digest.hexdigest(), b"".join(kept) if size <= KEPT else None)


def chunks(path: Path) -> Iterator[bytes]:
    """What the file holds, gzip or zstd taken off: told by its first bytes, whatever its name. Raises Unreadable."""
    try:
        with path.open("rb") as raw:
            magic = raw.read(4)
            raw.seek(0)
            if magic.startswith(GZIP):
                yield from _gunzipped(raw)
            elif magic == ZSTD:
                yield from _unzstandard(raw)
            else:
                yield from iter(lambda: raw.read(CHUNK), b"")
    except OSError as error:
        message = f"it cannot be read: {error.strerror}"
        raise Unreadable(message) from error
    except (zlib.error, zstandard.ZstdError) as error:
        message = f"its compressed data is damaged: {error}"
        raise Unreadable(message) from error


def _gunzipped(raw: BinaryIO) -> Iterator[bytes]:
    """All members of a gzip file, one after the other; zeros that pad the end are allowed."""
    member = zlib.decompressobj(wbits=31)
    data = raw.read(CHUNK)
    while data:
        yield member.decompress(data, CHUNK)
        if not member.eof:
            data = member.unconsumed_tail or raw.read(CHUNK)
        elif data := _after_padding(raw, member.unused_data):
            member = zlib.decompressobj(wbits=31)
    yield member.flush()
    if not member.eof:
        raise Unreadable("its compressed data ends too early", cut_off=True)


def _after_padding(raw: BinaryIO, data: bytes) -> bytes:
    while not (rest := data.lstrip(b"\0")):
        data = raw.read(CHUNK)
        if not data:
            break
    return rest


def _unzstandard(raw: BinaryIO) -> Iterator[bytes]:
    """All frames of a zstd file, one after the other."""
    frame = zstandard.ZstdDecompressor().decompressobj()
    while data := raw.read(64 << 10):
        while data:
            if frame.eof:
                frame = zstandard.ZstdDecompressor().decompressobj()
            yield frame.decompress(data)
            data = frame.unused_data if frame.eof else b""
    if not frame.eof:
        raise Unreadable("its compressed data ends too early", cut_off=True)


def _text(name: str) -> str:
    """A file name as text that can be stored: bytes that are not UTF-8 are written out."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def _file(name: str, path: Path) -> File | None:
    try:
        found = path.stat()
    except OSError:
        return None  # gone since it was listed, or a dangling link: there is nothing to read
    if not stat.S_ISREG(found.st_mode):
        return None
    return File(name, path, found.st_size, found.st_mtime_ns // 1000)
