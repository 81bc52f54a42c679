"""Where the shop's people live: how a phone number is written there, and which clocks run there."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from assets.demo_shop.chance import choose

DIGITS = 10_000_000  # distinct numbers a country has; also how many people there can be
_US_AREAS = ["212", "213", "214", "215", "216", "217", "218", "219", "224", "225"]
_SPREAD = 7_654_321  # coprime to DIGITS: neighbours in the list are not neighbours by phone


@dataclass(frozen=True)
class Place:
    """A country: `prefix` + seven digits is a valid mobile number, written nationally after `trunk`."""

    code: str
    calling_code: str
    trunk: str
    prefix: str
    zones: tuple[str, ...]
    locale: str
    dials_00: bool = True  # whether 00 is how one dials abroad from here


PLACES = (
    Place("DE", "49", "0", "1511", ("Europe/Berlin",), "de-DE"),
    Place("FR", "33", "0", "61", ("Europe/Paris",), "fr-FR"),
    Place("GB", "44", "0", "744", ("Europe/London",), "en-GB"),
    Place("US", "1", "", "", ("America/New_York", "America/Chicago", "America/Los_Angeles"), "en-US", dials_00=False),
    Place("ES", "34", "", "61", ("Europe/Madrid", "Atlantic/Canary"), "es-ES"),
    Place("PL", "48", "", "51", ("Europe/Warsaw",), "pl-PL"),
    Place("JP", "81", "0", "901", ("Asia/Tokyo",), "ja-JP", dials_00=False),
)
CODES = [place.code for place in PLACES]


def _per_place(place: pl.Expr, values: list[str]) -> pl.Expr:
    return choose(values, place)


def _subscriber(person: pl.Expr, place: pl.Expr) -> pl.Expr:
    """The number after the calling code; distinct for distinct people."""
    number = (person.cast(pl.Int64) * _SPREAD) % DIGITS
    seven = number.cast(pl.String).str.zfill(7)
    # an American exchange starts at 2 or more, so the first digit picks the area instead
    american = choose(_US_AREAS, number // 1_000_000) + "4" + seven.str.slice(1)
    plain = _per_place(place, [each.prefix for each in PLACES]) + seven
    return pl.when(place == CODES.index("US")).then(american).otherwise(plain)


def phone(person: pl.Expr, place: pl.Expr, spelling: pl.Expr) -> pl.Expr:
    """A person's number in one of five spellings: 0 E.164, 1 spaced, 2 dashed, 3 dialled with 00, 4 national."""
    local = _subscriber(person, place)
    calling = _per_place(place, [each.calling_code for each in PLACES])
    trunk = _per_place(place, [each.trunk for each in PLACES])
    outward = _per_place(place, ["00" if each.dials_00 else "+" for each in PLACES])
    head, tail = local.str.slice(0, 3), local.str.slice(3)
    return (
        pl.when(spelling == 0)
        .then("+" + calling + local)
        .when(spelling == 1)
        .then("+" + calling + " " + head + " " + tail)
        .when(spelling == 2)  # noqa: PLR2004 - the table of spellings is the docstring
        .then("+" + calling + "-" + head + "-" + tail)
        .when(spelling == 3)  # noqa: PLR2004
        .then(outward + calling + " " + head + " " + tail)
        .otherwise(trunk + head + " " + tail)
    )


def locale(place: pl.Expr) -> pl.Expr:
    """What is read there."""
    return _per_place(place, [each.locale for each in PLACES])


def time_zone(place: pl.Expr, draw: pl.Expr) -> pl.Expr:
    """One of the country's zones."""
    zones = pl.lit(None, dtype=pl.String)
    for index, each in enumerate(PLACES):
        count = len(each.zones)
        zones = pl.when(place == index).then(choose(list(each.zones), draw % count)).otherwise(zones)
    return zones
