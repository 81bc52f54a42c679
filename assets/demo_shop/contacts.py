"""The CRM's export: every contact on the first day, then the new and the changed ones of each day."""

from __future__ import annotations

from datetime import date

import polars as pl

from assets.demo_shop.chance import choose, draw, odds, pick, split
from assets.demo_shop.lines import DAY, epoch
from assets.demo_shop.people import JOINER, MEMBER, named
from assets.demo_shop.places import phone, time_zone

HEADER = "contact_id,email,phone,first_name,last_name,country,time_zone,marketing_opt_in,updated_at"
CHANGES = 0.006  # share of contacts that change in a day
RESPELLED, MOVED, DECIDED, RENAMED = 0, 1, 2, 3  # what changed
NATIONAL = 4  # the spelling that needs the country to be read


def contacts(people: pl.DataFrame, day: int, first: date, seed: int) -> pl.DataFrame:
    """The rows of one day's file in the columns of HEADER, oldest first; never two of one contact."""
    person = pl.col("person")
    member = (pl.col("kind") == MEMBER) & odds(0.9, seed, "in the CRM", person)
    joiner = (pl.col("kind") == JOINER) & odds(0.75, seed, "in the CRM", person)
    if day == 0:
        chosen = people.filter(member).with_columns(change=pl.lit(None, dtype=pl.Int64))
        return _rows(chosen, day, first, seed)
    is_new = joiner & (pl.col("join_day") == day - 1)
    changes = (member | (joiner & (pl.col("join_day") < day - 1))) & odds(CHANGES, seed, "changes", person, day)
    chosen = people.filter((is_new | changes).fill_null(value=False)).with_columns(
        change=pl.when(~is_new.fill_null(value=False)).then(pick(4, seed, "what changes", person, day))
    )
    return _rows(chosen, day, first, seed)


def _rows(chosen: pl.DataFrame, day: int, first: date, seed: int) -> pl.DataFrame:
    person = pl.col("person")
    known = named(chosen, seed)
    moved = pl.col("change") == MOVED
    return (
        known.with_columns(updated=_updated(day, first, seed))
        .select(
            "updated",
            contact_id="C" + (500_000 + person).cast(pl.String),
            email=_email(seed),
            phone=_phone(day, seed),
            first_name=pl.col("first_name"),
            last_name=pl.col("last_name"),
            country=pl.when(_has_country(seed)).then("country"),
            time_zone=pl.when(moved)
            .then(time_zone(pl.col("place"), draw(seed, "moved", person, day)))
            .when(odds(0.9, seed, "has zone", person))
            .then("time_zone"),
            marketing_opt_in=_opt_in(day, seed),
            updated_at=_written_moment(seed),
        )
        .sort("updated", "contact_id")
        .drop("updated")
    )


def _updated(day: int, first: date, seed: int) -> pl.Expr:
    """Milliseconds: the base was last touched in the 200 days before, later rows in the small hours of their day."""
    person = pl.col("person")
    midnight = epoch(first) + day * DAY
    if day == 0:
        return midnight - DAY - pick(200 * DAY // 1_000, seed, "touched", person) * 1_000
    return midnight + 3 * 3_600_000 + pick(7_200_000, seed, "touched", person, day)


def _email(seed: int) -> pl.Expr:
    """Lower, mixed or upper case, padded, missing, or a word that means nothing; a new address after a change."""
    address = pl.when(pl.col("change") == RENAMED).then("new." + pl.col("email")).otherwise("email")
    missing = pl.when(~_has_phone(seed)).then(address)  # a contact has one or the other
    spellings = [
        (0.35, address.str.to_titlecase()),
        (0.10, address.str.to_uppercase()),
        (0.03, "  " + address + " "),
        (0.03, missing),
        (0.01, pl.lit("unknown")),
        (0.48, address),
    ]
    index = split([weight for weight, _ in spellings], seed, "CRM e-mail", pl.col("person"))
    written = address
    for number, (_, spelling) in enumerate(spellings):
        written = pl.when(index == number).then(spelling).otherwise(written)
    return written


def _has_phone(seed: int) -> pl.Expr:
    return odds(0.75, seed, "has phone", pl.col("person"))


def _has_country(seed: int) -> pl.Expr:
    return odds(0.95, seed, "has country", pl.col("person"))


def _phone(day: int, seed: int) -> pl.Expr:
    """In any spelling; nationally only where the row names its country."""
    person = pl.col("person")
    stable = pick(NATIONAL + 1, seed, "CRM spelling", person)
    respelled = pick(NATIONAL + 1, seed, "CRM respelling", person, day)
    spelling = pl.when(pl.col("change") == RESPELLED).then(respelled).otherwise(stable)
    # who has no country in the CRM is written in full
    spelling = pl.when(_has_country(seed)).then(spelling).otherwise(spelling % 3)
    return pl.when(_has_phone(seed)).then(phone(person, pl.col("place"), spelling))


def _opt_in(day: int, seed: int) -> pl.Expr:
    """true, false or nothing said; after the base, said only when it is what changed."""
    person, change = pl.col("person"), pl.col("change")
    if day == 0:
        return choose(["true", "false", None], split([0.55, 0.15], seed, "opted in", person))
    decided = choose(["true", "false"], pick(2, seed, "decides", person, day))
    return pl.when(change == DECIDED).then(decided)


def _written_moment(seed: int) -> pl.Expr:
    """Some offices export in UTC, some two hours ahead, both saying so."""
    ahead = odds(0.3, seed, "exported", pl.col("person"))
    stamp = "%Y-%m-%dT%H:%M:%S%.3f"
    there = pl.from_epoch(pl.col("updated") + 7_200_000, time_unit="ms").dt.strftime(stamp) + "+02:00"
    here = pl.from_epoch("updated", time_unit="ms").dt.strftime(stamp) + "Z"
    return pl.when(ahead).then(there).otherwise(here)
