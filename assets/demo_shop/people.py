"""Who shops: what each person is like (a row a person), and what they are called (made when it is needed)."""

from __future__ import annotations

import polars as pl

from assets.demo_shop.chance import choose, draw, odds, pick, share, split
from assets.demo_shop.places import CODES, phone, time_zone

VISITOR, MEMBER, JOINER = 0, 1, 2
STAGED = 3  # the first few people are members: the staged mishaps happen to them
LEAST_STAY = 2  # days nobody leaves before

# (first, its spelling in addresses) and (last, the same): unicode, quotes and commas, as real names have them
_FIRST = [
    ("Anna", "anna"), ("Jürgen", "juergen"), ("Zoë", "zoe"), ("José", "jose"), ("美咲", "misaki"), ("Łukasz", "lukasz"),
    ("Chloé", "chloe"), ("Oliver", "oliver"), ("Siân", "sian"), ("Mehmet", "mehmet"), ("Олена", "olena"),
    ("Noor", "noor"), ('Bob "Bo"', "bob"), ("Marie-Claire", "marie.claire"), ("İpek", "ipek"), ("Björk", "bjoerk"),
    ("يوسف", "yusuf"), ("Ana\u00a0Luísa", "ana.luisa"), ("Emma", "emma"), ("D'Arcy", "darcy"),
]  # fmt: skip
_LAST = [
    ("Müller", "mueller"), ("O'Brien", "obrien"), ("García Pérez", "garcia"), ("Nowak", "nowak"), ("佐藤", "sato"),
    ("Smith, Jr.", "smith"), ("Lefèvre", "lefevre"), ("Şahin", "sahin"), ("Шевченко", "shevchenko"),
    ("van der Berg", "vanderberg"), ("Jones", "jones"), ("Ångström", "angstroem"), ("Weiß", "weiss"),
    ("Kowalczyk-Żak", "kowalczyk"), ("Taylor", "taylor"), ("Løvås", "lovas"), ("Đorđević", "dordevic"),
]  # fmt: skip
_DOMAINS = ["mailbox.example", "post.example", "correo.example"]


def population(people: int, days: int, seed: int) -> pl.DataFrame:
    """One row a person: kind, the days they join, come first, leave and link a second device, and their habits.

    Days count from 0, the first of the demo. `link_day` is null for who never logs in on a second device.
    """
    person, kind = pl.col("person"), pl.col("kind")
    first, last, soonest = pl.lit(0), pl.lit(days - 1), pl.coalesce("join_day", "first_day")

    def between(low: pl.Expr, high: pl.Expr, purpose: str) -> pl.Expr:
        return (low + (high - low + 1) * share(seed, purpose, person)).floor().cast(pl.Int32)

    drawn = split([0.15, 0.40], seed, "kind", person)  # visitors, members; the rest join
    before = pl.col("join_day") - pick(8, seed, "days before joining", person)
    stays = soonest.clip(LEAST_STAY)
    base = pl.DataFrame({"person": pl.arange(0, people, eager=True, dtype=pl.Int32)})
    return (
        base.with_columns(
            kind=pl.when(person < STAGED).then(MEMBER).otherwise(drawn),
            place=pick(len(CODES), seed, "place", person),
            visits=choose([0.5, 0.27, 0.09], split([0.3, 0.4], seed, "habit", person)),
            buys=choose([0.02, 0.35, 0.75], split([0.35, 0.45], seed, "thrift", person)),
            lavish=odds(0.1, seed, "lavish", person),
        )
        .with_columns(
            join_day=pl.when(kind == JOINER).then(between(first, last, "join day")),
            has_second=(kind != VISITOR) & odds(0.3, seed, "second device", person),
        )
        .with_columns(
            first_day=pl.when(kind == JOINER).then(before.clip(0).cast(pl.Int32))
            .when(kind == VISITOR).then(between(first, last, "first day"))
            .otherwise(0),
        )
        .with_columns(
            last_day=pl.when(odds(0.35, seed, "leaves", person))
            .then(between(stays, stays + (last - stays) * 0.7, "last day"))
            .otherwise(days - 1),
            link_day=pl.when(pl.col("has_second") & odds(0.75, seed, "links", person))
            .then(between(soonest, last, "link day")),
        )
    )  # fmt: skip


def named(frame: pl.DataFrame, seed: int) -> pl.DataFrame:
    """The frame with email, phone (E.164), first_name, last_name, country and time_zone of its `person`, `place`."""
    person, place = pl.col("person"), pl.col("place")
    first, last = pick(len(_FIRST), seed, "first name", person), pick(len(_LAST), seed, "last name", person)
    mailbox = choose([slug for _, slug in _FIRST], first) + "." + choose([slug for _, slug in _LAST], last)
    domain = choose(_DOMAINS, pick(len(_DOMAINS), seed, "domain", person))
    return frame.with_columns(
        email=mailbox + "." + person.cast(pl.String) + "@" + domain,
        phone=phone(person, place, pl.lit(0)),
        first_name=choose([name for name, _ in _FIRST], first),
        last_name=choose([name for name, _ in _LAST], last),
        country=choose(CODES, place),
        time_zone=time_zone(place, draw(seed, "zone", person)),
    )
