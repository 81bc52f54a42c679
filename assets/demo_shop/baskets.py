"""What a visit looks at, puts in the cart, buys and sends back; money in cents, so no float ever touches it."""

from __future__ import annotations

import polars as pl

from assets.demo_shop.chance import choose, draw, odds, pick, share

PRODUCTS = 240
MAX_ITEMS = 4
_SHELVES = ["shoes", "coats", "lamps", "books", "games", "garden"]


def product(seed: int, purpose: str, *keys: pl.Expr | int) -> pl.Expr:
    """A product number; the low ones are the popular ones."""
    return (share(seed, purpose, *keys) ** 2 * PRODUCTS).floor().cast(pl.Int64)


def price(number: pl.Expr, seed: int) -> pl.Expr:
    """Cents, the same for a product all over the demo."""
    return (399 + draw(seed, "price", number) % 8_600).cast(pl.Int64)


def sku(number: pl.Expr) -> pl.Expr:
    """`shoes-012`: text, quoted nowhere."""
    return choose(_SHELVES, number % len(_SHELVES)) + "-" + number.cast(pl.String).str.zfill(3)


def money(cents: pl.Expr) -> pl.Expr:
    """A JSON number with two decimals, exactly."""
    return (cents // 100).cast(pl.String) + "." + (cents % 100).cast(pl.String).str.zfill(2)


def baskets(visits: pl.DataFrame, seed: int) -> pl.DataFrame:
    """The visits with what is in the cart and what becomes of it.

    `items`, `quantity`, `cents` (all of it), the same of its first item, and `fills`, `checks_out`, `refund_lag` (days;
    null: kept), `refund_cents`.
    """
    person, day = pl.col("person"), pl.col("day")
    count = 1 + (share(seed, "items", person, day) ** 2 * MAX_ITEMS).floor()
    texts, quantities, amounts = [], [], []
    for index in range(MAX_ITEMS):
        number = product(seed, "item", person, day, index)
        pieces = 1 + odds(0.2, seed, "pieces", person, day, index).cast(pl.Int64) + 3 * pl.col("lavish")
        there = pl.when(count > index)
        text = pl.format('{{"sku":"{}","price":{},"quantity":{}}}', sku(number), money(price(number, seed)), pieces)
        texts.append(there.then(text))
        quantities.append(there.then(pieces).otherwise(0))
        amounts.append(there.then(pieces * price(number, seed)).otherwise(0))
    can_pay = pl.col("logged_in") | (pl.col("is_guest") & odds(0.3, seed, "guest", person, day))
    checks_out = can_pay & odds(pl.col("buys"), seed, "checks out", person, day)
    comes_back = odds(0.07, seed, "refund", person, day)
    whole = odds(0.6, seed, "whole refund", person, day)
    return visits.with_columns(
        fills=odds(0.42, seed, "fills a cart", person, day),
        items="[" + pl.concat_str(texts, separator=",", ignore_nulls=True) + "]",
        quantity=pl.sum_horizontal(quantities),
        cents=pl.sum_horizontal(amounts),
        first_item="[" + texts[0] + "]",
        first_quantity=quantities[0],
        first_cents=amounts[0],
        order_id="o" + (person * 1_000 + day).cast(pl.String),
        cart_id="c" + (person * 1_000 + day).cast(pl.String),
    ).with_columns(
        checks_out=pl.col("fills") & checks_out,
        refund_lag=pl.when(comes_back).then(1 + pick(6, seed, "refund lag", person, day)),
        refund_cents=pl.when(whole).then("cents").otherwise("first_cents"),
    )
