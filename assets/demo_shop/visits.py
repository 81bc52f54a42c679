"""Who comes on a day, on which device and logged in or not: a row a visit. A person comes at most once a day."""

from __future__ import annotations

import polars as pl

from assets.demo_shop.chance import draw, odds, pick
from assets.demo_shop.people import JOINER, MEMBER, VISITOR

LATEST_START = 85_000_000  # ms into the day; the longest visit and the slowest tracker still end before midnight


def visits(people: pl.DataFrame, day: int, seed: int) -> pl.DataFrame:
    """The people who come on `day`, and how.

    With `on_second`, `logged_in`, `identifies`, `joins`, `anonymous_id`, `user_id` and `start` (ms into the day).
    """
    person = pl.col("person")

    def chance(probability: float | pl.Expr, purpose: str) -> pl.Expr:
        return odds(probability, seed, purpose, person, day)

    joins = (pl.col("join_day") == day).fill_null(value=False)
    links = (pl.col("link_day") == day).fill_null(value=False)
    here = pl.col("first_day").le(day) & pl.col("last_day").ge(day) & chance(pl.col("visits"), "visit")
    member = (pl.col("kind") == MEMBER) | ((pl.col("kind") == JOINER) & (pl.col("join_day") <= day))
    knows_device = ~pl.col("on_second") | (pl.col("link_day") <= day).fill_null(value=False)
    device = draw(seed, "device", person, pl.col("on_second"))
    return (
        people.filter(here | joins | links)
        .with_columns(
            on_second=(pl.col("has_second") & chance(0.35, "device") & ~joins) | (links & ~joins),
            joins=joins,
            links=links,
        )
        .with_columns(logged_in=member & knows_device & (chance(0.9, "logs in") | joins | links))
        .with_columns(
            identifies=pl.col("logged_in") & (joins | links | chance(0.4, "identifies")),
            anonymous_id="d-" + device.cast(pl.String),
            user_id=pl.when("logged_in").then("u" + (100_000 + person).cast(pl.String)),
            is_guest=pl.col("kind") == VISITOR,
            start=pick(LATEST_START, seed, "start", person, day),
        )
    )
