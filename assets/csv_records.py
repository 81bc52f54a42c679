"""Reads CSV records as JSON objects, each with the line it starts on; a bad one is set apart and the next line goes on.

The standard reader is used strictly, one record at a time, so that a quote that never closes costs one line.
"""

from __future__ import annotations

import codecs
import csv
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import chain, islice

import orjson
import pyarrow as pa

from assets.files import Unreadable
from assets.lines import LONGEST, arriving, without_bom
from models.source import CsvDialect

RECORDS = 16_384  # in one batch
LONGEST_RECORD = 1000  # lines; a quoted field that runs over more was never closed

_UNDECODED = re.compile("[\udc80-\udcff]")

csv.field_size_limit(LONGEST)


@dataclass
class _Lines:
    """The lines of a file with a way back: `taken` are those of the record being read."""

    source: Iterator[str]
    next_line: int = 1
    returned: list[str] = field(default_factory=list)
    taken: list[str] = field(default_factory=list)

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        if len(self.taken) >= LONGEST_RECORD:
            raise csv.Error("a quote opened here is not closed")
        line = self.returned.pop() if self.returned else next(self.source)
        self.taken.append(line)
        self.next_line += 1
        return line

    def record_done(self) -> int:
        """Forget the lines of the record just read; the line it started on."""
        start = self.next_line - len(self.taken)
        self.taken.clear()
        return start

    def give_back_all_but_first(self) -> tuple[int, str]:
        """After a bad record: its first line and number; the others are read again as records of their own."""
        start, first = self.next_line - len(self.taken), self.taken[0]
        self.returned.extend(reversed(self.taken[1:]))
        self.taken.clear()
        self.next_line = start + 1
        return start, first


# line, record or text of the line, what is wrong, the text behind the record
_Record = tuple[int, str, str | None, str | None]


def records(chunks: Iterable[bytes], dialect: CsvDialect, *, keep_original: bool = False) -> Iterator[pa.RecordBatch]:
    """Batches in the shape of ARRIVING. An empty cell is null.

    Raises Unreadable when the header cannot be used or the encoding is wrong from the first byte on.
    """
    found = _records(_Lines(_text_lines(chunks, dialect.encoding)), dialect, keep_original=keep_original)
    while batch := list(islice(found, RECORDS)):
        lines, texts, reasons, originals = (list(column) for column in zip(*batch, strict=True))
        yield arriving(lines, texts, reasons, originals if keep_original else None)


def _records(lines: _Lines, dialect: CsvDialect, *, keep_original: bool) -> Iterator[_Record]:
    columns = dialect.columns
    for line, cells, text in _rows(lines, dialect):
        if isinstance(cells, str):
            if columns is None:
                message = f"its header cannot be read: {cells}"
                raise Unreadable(message)
            yield line, _shown(text), cells, None
        elif columns is None:
            columns = _header(cells)
        elif len(cells) != len(columns):
            yield line, _shown(text), f"{len(cells)} fields where the header has {len(columns)}", None
        else:
            record = {column: cell or None for column, cell in zip(columns, cells, strict=True)}
            yield line, orjson.dumps(record).decode(), None, _shown(text) if keep_original else None


def _rows(lines: _Lines, dialect: CsvDialect) -> Iterator[tuple[int, list[str] | str, str]]:
    """Line, cells (or what is wrong with them) and text of each record. Blank lines are none."""
    reader = _reader(lines, dialect)
    while True:
        try:
            cells: list[str] | str = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            reader = _reader(lines, dialect)
            start, first = lines.give_back_all_but_first()
            yield start, _explained(error), first
            continue
        text = "".join(lines.taken)
        start = lines.record_done()
        if text.isspace():
            continue
        if not text.isascii() and _UNDECODED.search(text):
            cells = "not UTF-8 text"
        yield start, cells, text


def _reader(lines: Iterator[str], dialect: CsvDialect) -> Iterator[list[str]]:
    doubled = dialect.escape == dialect.quote
    return csv.reader(
        lines,
        delimiter=dialect.delimiter,
        quotechar=dialect.quote or None,
        quoting=csv.QUOTE_MINIMAL if dialect.quote else csv.QUOTE_NONE,
        doublequote=doubled,
        escapechar=None if doubled else dialect.escape or None,
        strict=True,
    )


def _header(cells: list[str]) -> list[str]:
    columns = [cell.strip() for cell in cells]
    for column in columns:
        if not column:
            raise Unreadable("its header has a column without a name")
        if columns.count(column) > 1:
            message = f"its header has the column '{column}' twice"
            raise Unreadable(message)
    return columns


def _text_lines(chunks: Iterable[bytes], encoding: str) -> Iterator[str]:
    """Lines with their ends. Bytes that are not UTF-8 come through as lone surrogates, to be told apart by line."""
    plain = without_bom(chunks) if encoding == "utf-8" else chunks
    decoder = codecs.getincrementaldecoder(encoding)("surrogateescape" if encoding == "utf-8" else "strict")
    pending = ""
    for chunk in chain(plain, (b"",)):
        try:
            text = decoder.decode(chunk, final=not chunk)
        except UnicodeError as error:
            message = f"it is not {encoding} text: {error}"
            raise Unreadable(message) from error
        *lines, rest = text.split("\n")
        for line in lines:
            yield f"{pending}{line}\n"
            pending = ""
        pending += rest
        if len(pending) > LONGEST:
            message = f"it has a line of more than {LONGEST:,} characters"
            raise Unreadable(message)
    if pending:
        yield pending


def _shown(text: str) -> str:
    text = text.rstrip("\r\n")
    return text if text.isascii() else text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def _explained(error: csv.Error) -> str:
    text = str(error)
    return "a quote opened here is not closed" if text == "unexpected end of data" else text
