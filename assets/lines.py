"""Cuts bytes into numbered lines, as Arrow batches: what every text format is read through.

A line that is not UTF-8 or too long comes with the reason; it never ends the reading.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

LONGEST = 64 << 20  # bytes; a line past this is not a record but a file without line ends
SHOWN_OF_TOO_LONG = 1000
BOM = b"\xef\xbb\xbf"

# What a format gives: `text` is the record, or the line as it stands when `reason` says why it is none.
# `original` is the line behind a record that no longer looks like it.
ARRIVING = pa.schema([("line", pa.int64()), ("text", pa.string()), ("reason", pa.string()), ("original", pa.string())])


def numbered(chunks: Iterable[bytes], *, strip: bool) -> Iterator[pa.RecordBatch]:
    """Every line that is not blank with its number from 1, less its line end or, to `strip`, all space around."""
    first = 1
    for block in _blocks(chunks):
        if isinstance(block, _TooLong):
            yield block.batch(first)
            first += 1
            continue
        batch = _batch(block, first, strip=strip)
        first += len(batch)
        yield _without_blanks(batch)


@dataclass
class _TooLong:
    """A line given up on: only its beginning is kept."""

    start: bytes
    size: int = 0

    def batch(self, line: int) -> pa.RecordBatch:
        shown = self.start[:SHOWN_OF_TOO_LONG].decode("utf-8", "backslashreplace")
        reason = f"the line has {self.size:,} bytes, more than {LONGEST:,}; only its beginning is kept"
        return arriving([line], [shown], [reason])


@dataclass
class _Pending:
    """What was read of a line whose end has not come yet."""

    pieces: list[bytes] = field(default_factory=list)
    size: int = 0
    dropped: _TooLong | None = None

    def add(self, piece: bytes) -> None:
        if not piece:
            return
        self.size += len(piece)
        if self.dropped is None:
            self.pieces.append(piece)
            if self.size > LONGEST:
                self.dropped, self.pieces = _TooLong(b"".join(self.pieces)[:SHOWN_OF_TOO_LONG]), []

    def end(self, rest: bytes) -> Iterator[bytes | _TooLong]:
        """Complete the line with the start of `rest`, which ends in a line end, and give what else `rest` holds."""
        cut = rest.find(b"\n") + 1
        self.add(rest[:cut])
        if self.dropped:
            self.dropped.size = self.size
            yield self.dropped
            if cut < len(rest):
                yield rest[cut:]
        else:
            yield b"".join(self.pieces) + rest[cut:]
        self.pieces, self.size, self.dropped = [], 0, None


def _blocks(chunks: Iterable[bytes]) -> Iterator[bytes | _TooLong]:
    """Whole lines, as many at a time as came together; the last one gets a line end if it had none."""
    pending = _Pending()
    for piece in without_bom(chunks):
        end = piece.rfind(b"\n") + 1
        if end:
            yield from pending.end(piece[:end])
        pending.add(piece[end:])
    if pending.size:
        yield from pending.end(b"\n")


def without_bom(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """The chunks, less a UTF-8 byte order mark at the very start."""
    head: bytes | None = b""
    for chunk in chunks:
        if head is None:
            yield chunk
        elif len(head := head + chunk) >= len(BOM):
            yield head.removeprefix(BOM)
            head = None
    if head:
        yield head


def _batch(block: bytes, first: int, *, strip: bool) -> pa.RecordBatch:
    breaks = np.flatnonzero(np.frombuffer(block, np.uint8) == ord("\n"))
    offsets = np.zeros(len(breaks) + 1, np.int32)
    offsets[1:] = breaks + 1
    lines = pa.StringArray.from_buffers(len(breaks), pa.py_buffer(offsets), pa.py_buffer(block))
    numbers = pa.array(np.arange(first, first + len(breaks)))
    try:
        lines.validate(full=True)
    except pa.ArrowInvalid:
        decoded = [_decoded(line) for line in block.split(b"\n")[:-1]]
        lines = pa.array([text for text, _ in decoded], pa.string())
        return arriving(numbers, _cut(lines, strip=strip), [reason for _, reason in decoded])
    return arriving(numbers, _cut(lines, strip=strip), None)


def _cut(lines: pa.StringArray, *, strip: bool) -> pa.StringArray:
    """Here, where it costs nothing: the engine's trim of given characters takes as long as the insert."""
    return pc.ascii_trim(lines, " \t\r\n") if strip else pc.ascii_rtrim(lines, "\r\n")


def _without_blanks(batch: pa.RecordBatch) -> pa.RecordBatch:
    has_text = pc.not_equal(pc.ascii_trim_whitespace(batch.column("text")), "")
    return batch if has_text.false_count == 0 else batch.filter(has_text)


def _decoded(line: bytes) -> tuple[str, str | None]:
    try:
        return line.decode(), None
    except UnicodeDecodeError as error:
        return line.decode("utf-8", "backslashreplace"), f"not UTF-8 text (byte {error.start + 1} of the line)"


def arriving(
    lines: pa.Array | list[int],
    texts: pa.Array | list[str],
    reasons: list[str | None] | None,
    originals: list[str | None] | None = None,
) -> pa.RecordBatch:
    """A batch in the shape of ARRIVING."""
    rows = len(lines)
    return pa.RecordBatch.from_arrays(
        [
            lines if isinstance(lines, pa.Array) else pa.array(lines, pa.int64()),
            texts if isinstance(texts, pa.Array) else pa.array(texts, pa.string()),
            pa.nulls(rows, pa.string()) if reasons is None else pa.array(reasons, pa.string()),
            pa.nulls(rows, pa.string()) if originals is None else pa.array(originals, pa.string()),
        ],
        schema=ARRIVING,
    )
