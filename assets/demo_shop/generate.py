"""`generate`: the demo's landing files, a day at a time. Files are put in place whole, or left if they are the same."""

from __future__ import annotations

import filecmp
import shutil
from collections import Counter
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Literal

import polars as pl

from assets.demo_shop.behaviour import events
from assets.demo_shop.contacts import HEADER, contacts
from assets.demo_shop.lines import LINE, lines
from assets.demo_shop.mishaps import bad_contacts, bad_lines, staged
from assets.demo_shop.people import population
from assets.demo_shop.visits import visits
from models.errors import UserError

MOST_PEOPLE, MOST_DAYS = 5_000_000, 365
COPIED_DAY = 5  # this day's file lands again a day later under another name
GZIP_LEVEL = 3  # a tenth larger than the usual 6, in half the time
VISITS_AT_A_TIME = 50_000  # keeps the columns behind the lines small


@dataclass(frozen=True)
class ShopFiles:
    """What was written. A file's name begins with the day it lands on.

    `counts` is what the generator meant to write: people, events, repeats, late, orders, contacts, bad, copies.
    """

    last_day: date
    files: tuple[Path, ...]
    counts: dict[str, int]


def generate(
    landing: Path, *, people: int = 20_000, days: int = 30, seed: int = 7, start: date = date(2026, 9, 1)
) -> ShopFiles:
    """Write shop/<day>.ndjson.gz and crm/<day>.csv below `landing`; the same arguments give the same bytes.

    Raises UserError when `people` or `days` is out of range.
    """
    _check(people, days)
    crowd = population(people, days, seed)
    waiting = pl.DataFrame(schema=LINE)
    counts: Counter[str] = Counter(people=people)
    files: list[Path] = []
    for day in range(days):
        today = start + timedelta(days=day)
        came = visits(crowd, day, seed)
        blocks = (lines(events(block, day, seed), start, seed) for block in came.iter_slices(VISITS_AT_A_TIME))
        due = pl.concat([waiting, *blocks])
        waiting = due.filter(pl.col("arrives").is_between(day + 1, days - 1))
        due = due.filter(pl.col("arrives") == day).sort("sent", "key")
        once = staged(crowd, day, days, start, seed)
        bad = bad_lines(day, due)
        shop = _land(_shop_file(due, once, bad), landing, f"shop/{today}.ndjson.gz")
        rows = contacts(crowd, day, start, seed)
        files += [shop, _land(_contact_file(rows, day), landing, f"crm/{today}.csv")]
        _count(counts, due, rows, len(once), len(bad) + len(bad_contacts(day, rows.height)))
        if day == min(COPIED_DAY, days - 1):
            counts["copies"] += 1
            again = min(day + 1, days - 1)
            files.append(_copy(shop, landing / f"shop/{start + timedelta(days=again)}-again.ndjson.gz"))
    return ShopFiles(start + timedelta(days=days - 1), tuple(files), dict(counts))


def _check(people: int, days: int) -> None:
    for name, value, most in (("people", people, MOST_PEOPLE), ("days", days, MOST_DAYS)):
        if not 1 <= value <= most:
            message = f"{name} is {value}; it can be 1 to {most}"
            raise UserError(message)


def _count(counts: Counter[str], due: pl.DataFrame, rows: pl.DataFrame, once: int, bad: int) -> None:
    counts["events"] += due.height - int(due["is_repeat"].sum()) + once
    counts["repeats"] += int(due["is_repeat"].sum())
    counts["late"] += due.filter("is_late", ~pl.col("is_repeat")).height
    counts["orders"] += due.filter(pl.col("event") == "Order Completed", ~pl.col("is_repeat")).height
    counts["contacts"] += rows.height
    counts["bad"] += bad


def _shop_file(due: pl.DataFrame, once: list[str], bad: list[str]) -> pl.Series:
    """The day's lines: two bad ones up front where a reader would stop, the cut-off one at the end."""
    return pl.concat(
        [pl.Series(bad[:-1], dtype=pl.String), due["line"], pl.Series([*once, *bad[-1:]], dtype=pl.String)]
    )


def _contact_file(rows: pl.DataFrame, day: int) -> pl.Series:
    body = rows.write_csv(include_header=False).splitlines()
    bad = bad_contacts(day, rows.height)
    middle = len(body) // 2
    return pl.Series([HEADER, *body[:middle], *bad, *body[middle:]], dtype=pl.String)


def _land(text: pl.Series, landing: Path, name: str) -> Path:
    """Write the lines aside, then put the file in place, unless the very same one is there."""
    target = landing / name
    target.parent.mkdir(parents=True, exist_ok=True)
    aside = landing / f".{target.name}.partial"
    # polars carries its own gzip, which writes no time and no name: the same bytes wherever that release runs
    compression: Literal["gzip", "uncompressed"] = "gzip" if name.endswith(".gz") else "uncompressed"
    pl.DataFrame({"line": text}).write_csv(
        aside,
        include_header=False,
        quote_style="never",
        compression_level=GZIP_LEVEL if compression == "gzip" else None,
        compression=compression,
        check_extension=False,
    )
    return _put(aside, target)


def _copy(source: Path, target: Path) -> Path:
    aside = target.parent.parent / f".{target.name}.partial"
    shutil.copyfile(source, aside)
    return _put(aside, target)


def _put(aside: Path, target: Path) -> Path:
    if target.exists() and filecmp.cmp(aside, target, shallow=False):
        aside.unlink()
    else:
        aside.replace(target)
    return target
