"""What happens in a visit: a row an event, in canonical names, with properties and traits as JSON text.

A slot is an event's place in its visit; slots are 45 seconds apart, so events of one person never tie.
"""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl

from assets.demo_shop.baskets import baskets, money, price, product, sku
from assets.demo_shop.chance import choose, odds, pick
from assets.demo_shop.people import named
from assets.demo_shop.places import locale, phone

PAGES, PRODUCT_VIEWS = 3, 4
(IDENTIFY, SIGN_UP, GRANT_EMAIL, GRANT_SMS, GRANT_SURVEYS, PAGE, VIEW, CART, FULL_CART, ORDER, WITHDRAW_EMAIL,
 WITHDRAW_SMS, REFUND) = 0, 1, 2, 3, 4, 5, 8, 12, 13, 14, 15, 16, 17  # fmt: skip
_PATHS = ["/", "/new", "/sale", "/search", "/about", "/größen", "/blog/winter"]
_KEPT = ["person", "day", "slot", "type", "event", "anonymous_id", "user_id", "start", "lag", "properties", "traits"]


def events(visits: pl.DataFrame, day: int, seed: int) -> pl.DataFrame:
    """All events of these visits. `lag` is the number of days until it happens (refunds), 0 for the others."""
    came = baskets(visits.with_columns(day=pl.lit(day, dtype=pl.Int32)), seed)
    parts = [*_account(came, seed), *_browsing(came, seed), *_buying(came, seed)]
    return pl.concat(parts)


def _rows(
    came: pl.DataFrame,
    slot: int,
    event: str | None,
    properties: pl.Expr | str | None = None,
    traits: pl.Expr | None = None,
    **changed: pl.Expr,
) -> pl.DataFrame:
    """One event a visit, in the columns all events share."""
    kinds = {"Page Viewed": "page", None: "identify"}
    given = pl.lit(properties, dtype=pl.String) if properties is None or isinstance(properties, str) else properties
    return came.with_columns(
        slot=pl.lit(slot, dtype=pl.Int32),
        type=pl.lit(kinds.get(event, "track")),
        event=pl.lit(event, dtype=pl.String),
        properties=given,
        traits=pl.lit(None, dtype=pl.String) if traits is None else traits,
        lag=changed.pop("lag", pl.lit(0)).cast(pl.Int32),
        **changed,
    ).select(_KEPT)


def _account(came: pl.DataFrame, seed: int) -> Iterator[pl.DataFrame]:
    """Log-ins, sign-ups, and consent given and taken back per channel and purpose."""
    known = named(came.filter("logged_in"), seed)
    person, day = pl.col("person"), pl.col("day")

    def chance(probability: float, purpose: str) -> pl.Expr:
        return odds(probability, seed, purpose, person, day)

    shouted = pl.when(chance(0.1, "shouts")).then(pl.col("email").str.to_uppercase()).otherwise("email")
    written = phone(person, pl.col("place"), pick(3, seed, "spelling", person, day))
    about = pl.struct(
        shouted.alias("email"),
        pl.when(odds(0.6, seed, "gives phone", person)).then(written).alias("phone"),
        "first_name",
        "last_name",
        pl.when(odds(0.8, seed, "gives country", person)).then("country").alias("country"),
        locale(pl.col("place")).alias("locale"),
        pl.when(_has_app(seed)).then(pl.format("app-{}", person)).alias("push_token"),
    ).struct.json_encode()
    mail, cell = (pl.struct(column).struct.json_encode() for column in ("email", "phone"))
    joins = pl.col("joins")
    yield _rows(known.filter("identifies"), IDENTIFY, None, traits=about)
    yield _rows(known.filter(joins), SIGN_UP, "Signed Up", '{"plan":null}', about)
    for slot, channel, purpose, traits, likely in (
        (GRANT_EMAIL, "email", "marketing", mail, 0.65),
        (GRANT_SMS, "sms", "marketing", cell, 0.25),
        (GRANT_SURVEYS, "email", "surveys", mail, 0.3),
    ):
        grants = (joins & chance(likely, f"{channel} {purpose}")) | chance(0.008, f"again {channel} {purpose}")
        yield _rows(known.filter(grants), slot, "Consent Granted", _consent(channel, purpose), traits)
    for slot, channel, traits, likely in ((WITHDRAW_EMAIL, "email", mail, 0.02), (WITHDRAW_SMS, "sms", cell, 0.01)):
        gone = known.filter(chance(likely, f"withdraws {channel}"))
        yield _rows(gone, slot, "Consent Withdrawn", _consent(channel, "marketing"), traits)


def _has_app(seed: int) -> pl.Expr:
    """Whether the shop's app is on one of their devices, and may send."""
    return pl.col("has_second") & odds(0.6, seed, "has app", pl.col("person"))


def _consent(channel: str, purpose: str) -> str:
    return f'{{"channel":"{channel}","purpose":"{purpose}"}}'


def _browsing(came: pl.DataFrame, seed: int) -> Iterator[pl.DataFrame]:
    """Pages and products looked at; some visitors refuse the cookie, some trackers send a placeholder."""
    person, day = pl.col("person"), pl.col("day")
    for index in range(PAGES):
        path = choose(_PATHS, pick(len(_PATHS), seed, "path", person, day, index))
        refused = odds(0.01, seed, "refuses", person, day, index)
        broken = odds(0.005, seed, "broken tracker", person, day, index)
        seen = came.filter(1 + pick(PAGES, seed, "pages", person, day) > index)
        yield _rows(
            seen,
            PAGE + index,
            "Page Viewed",
            pl.format('{{"path":"{}","referrer":null}}', path),
            anonymous_id=pl.when(refused).then(pl.lit("anonymous")).otherwise("anonymous_id"),
            user_id=pl.when(broken).then(pl.lit("unknown")).otherwise("user_id"),
        )
    for index in range(PRODUCT_VIEWS):
        number = product(seed, "viewed", person, day, index)
        about = pl.format('{{"sku":"{}","price":{}}}', sku(number), money(price(number, seed)))
        seen = came.filter(pick(PRODUCT_VIEWS + 1, seed, "views", person, day) > index)
        yield _rows(seen, VIEW + index, "Product Viewed", about)


def _buying(came: pl.DataFrame, seed: int) -> Iterator[pl.DataFrame]:
    """Carts, orders (some sent by the server, without the device) and refunds some days later."""
    person, day = pl.col("person"), pl.col("day")
    fills = came.filter("fills")
    cart = '{{"cart_id":"{}","value":{},"quantity":{},"items":{}}}'
    early = pl.format(cart, "cart_id", money(pl.col("first_cents")), "first_quantity", "first_item")
    full = pl.format(cart, "cart_id", money(pl.col("cents")), "quantity", "items")
    yield _rows(fills, CART, "Cart Updated", early)
    yield _rows(fills.filter(pl.col("items") != pl.col("first_item")), FULL_CART, "Cart Updated", full)

    orders = named(came.filter("checks_out"), seed)
    by_server = odds(0.3, seed, "by server", person, day) & ~pl.col("is_guest")
    device = pl.when(~by_server).then("anonymous_id")
    guest = pl.when("is_guest").then(pl.struct("email").struct.json_encode())
    order = pl.format(
        '{{"order_id":"{}","cart_id":"{}","revenue":{},"quantity":{},"currency":"EUR","coupon":null,"items":{}}}',
        "order_id", "cart_id", money(pl.col("cents")), "quantity", "items",
    )  # fmt: skip
    yield _rows(orders, ORDER, "Order Completed", order, guest, anonymous_id=device)
    refund = pl.format('{{"order_id":"{}","refund":{}}}', "order_id", money(pl.col("refund_cents")))
    returned = orders.filter(pl.col("refund_lag").is_not_null())
    nobody = pl.lit(None, dtype=pl.String)
    yield _rows(returned, REFUND, "Order Refunded", refund, guest, anonymous_id=nobody, lag=pl.col("refund_lag"))
