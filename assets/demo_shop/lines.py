"""Events as lines of the tracker's files: when each was sent, which came late, and which came twice."""

from __future__ import annotations

from datetime import UTC, date, datetime

import polars as pl

from assets.demo_shop.behaviour import REFUND
from assets.demo_shop.chance import mix, odds, pick, start

DAY = 86_400_000  # ms
SLOT, WITHIN_SLOT = 45_000, 40_000  # ms; slots never overlap, so a visit's events keep their order
LATE, TWICE_SOON, TWICE_LATER, NAMELESS = 0.015, 0.004, 0.006, 0.002
LINE = pl.Schema(
    {
        "arrives": pl.Int32(),
        "sent": pl.Int64(),
        "key": pl.UInt64(),
        "event": pl.String(),
        "is_late": pl.Boolean(),
        "is_repeat": pl.Boolean(),
        "line": pl.String(),
    }
)
SLOTS, DAYS = 32, 1_024  # how many fit in an event's key


def epoch(day: date) -> int:
    """Midnight UTC of this day in ms."""
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()) * 1_000


def moment(column: str) -> pl.Expr:
    """Milliseconds as `2026-09-01T10:00:00.000Z`."""
    return pl.from_epoch(column, time_unit="ms").dt.strftime("%Y-%m-%dT%H:%M:%S%.3fZ")


def lines(events: pl.DataFrame, first: date, seed: int) -> pl.DataFrame:
    """A row a line: `arrives` (day of the file, from 0), `sent` (ms), `line`, `event`, `is_late`, `is_repeat`.

    Late events are sent one to three days after they happened. A repeat has the same id and is sent again, either a
    little later or after a day or two. A nameless line has no id, so it is neither.
    """
    once = _sent(_timed(events, first, seed), first, seed)
    return pl.concat([_written(once, is_repeat=False), *_repeats(once, first, seed)])


def _timed(events: pl.DataFrame, first: date, seed: int) -> pl.DataFrame:
    """With `key`, unique in the demo; `at` in ms; and `id`, null for some page views."""
    key = (pl.col("person").cast(pl.UInt64) * DAYS + pl.col("day").cast(pl.UInt64)) * SLOTS + pl.col("slot").cast(
        pl.UInt64
    )
    within = pl.col("slot") * SLOT + pick(WITHIN_SLOT, seed, "within", pl.col("key"))
    nameless = (pl.col("type") == "page") & odds(NAMELESS, seed, "nameless", pl.col("key"))
    identifier = "e" + mix(pl.col("key") ^ pl.lit(start(seed, "event id"), dtype=pl.UInt64)).cast(pl.String)
    return events.with_columns(key=key).with_columns(
        at=epoch(first) + (pl.col("day") + pl.col("lag")).cast(pl.Int64) * DAY + pl.col("start") + within,
        id=pl.when(~nameless).then(identifier),
    )


def _sent(timed: pl.DataFrame, first: date, seed: int) -> pl.DataFrame:
    """With `sent` (ms), `arrives` and `is_late`."""
    key = pl.col("key")
    is_late = odds(LATE, seed, "late", key) & (pl.col("slot") != REFUND)
    waited = pl.when(is_late).then((1 + pick(3, seed, "days late", key)) * DAY).otherwise(0)
    return timed.with_columns(
        is_late=is_late, sent=pl.col("at") + waited + 500 + pick(20_000, seed, "tracker", key)
    ).with_columns(arrives=_day_of("sent", first))


def _day_of(column: str, first: date) -> pl.Expr:
    return ((pl.col(column) - epoch(first)) // DAY).cast(pl.Int32)


def _repeats(once: pl.DataFrame, first: date, seed: int) -> list[pl.DataFrame]:
    """Lines sent again: same id and content, `sentAt` alone moves on."""
    key, named = pl.col("key"), once.filter(pl.col("id").is_not_null())
    soon = named.filter(odds(TWICE_SOON, seed, "twice soon", key)).with_columns(sent=pl.col("sent") + 1_000)
    waited = (1 + pick(2, seed, "repeat after", key)) * DAY
    later = named.filter(odds(TWICE_LATER, seed, "twice later", key)).with_columns(sent=pl.col("sent") + waited)
    return [_written(frame.with_columns(arrives=_day_of("sent", first)), is_repeat=True) for frame in (soon, later)]


def _text(column: str) -> pl.Expr:
    """A JSON string; the values need no escapes."""
    return pl.when(pl.col(column).is_null()).then(pl.lit("null")).otherwise('"' + pl.col(column) + '"')


def _written(rows: pl.DataFrame, *, is_repeat: bool) -> pl.DataFrame:
    line = pl.format(
        '{{"id":{},"type":"{}","event":{},"anonymousId":{},"userId":{},"at":"{}","sentAt":"{}",'
        '"properties":{},"traits":{}}}',
        _text("id"), "type", _text("event"), _text("anonymous_id"), _text("user_id"), moment("at"), moment("sent"),
        pl.col("properties").fill_null("{}"), pl.col("traits").fill_null("{}"),
    )  # fmt: skip
    repeat = pl.lit(is_repeat)
    return rows.select("arrives", "sent", "key", "event", "is_late", is_repeat=repeat, line=line)
