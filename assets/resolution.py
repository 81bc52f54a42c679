"""Who is who, as a pure function: identifiers seen together and the ids known so far in, what changes out.

Reading events and keeping the history belong in identity.py. Everything here is sorted before it decides anything, so
that equal input gives equal output whatever its order.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

# strongest first: on a merge the profile with the strongest identifier survives
TYPES = ("user_id", "crm_id", "email", "phone", "anonymous_id", "profile_id")
ALIAS = "profile_id"  # a profile is an identifier of itself, so that outcomes find their person through merges

_TEXT = pl.String()
MOMENT = pl.Datetime("us", "UTC")
KNOWN_SCHEMA = pl.Schema({"identifier_type": _TEXT, "identifier": _TEXT, "profile_id": _TEXT, "minted_at": MOMENT})
CHANGE_SCHEMA = pl.Schema(
    {
        "identifier_type": _TEXT,
        "identifier": _TEXT,
        "profile_id": _TEXT,
        "change": _TEXT,
        "from_profile_id": _TEXT,
    }
)
_NODE = ["identifier_type", "identifier"]


@dataclass(frozen=True)
class Mint:
    """Makes new ids. `batch` names the run that mints, so that an identifier can found another profile later."""

    salt: str
    batch: str

    def profile_id(self, identifier_type: str, identifier: str) -> str:
        """96 bits of hash: two of a billion profiles collide once in a hundred billion projects."""
        text = f"{self.salt}\0{identifier_type}\0{identifier}\0{self.batch}"
        return hashlib.sha256(text.encode()).hexdigest()[:24]


def resolve(observed: pl.DataFrame, known: pl.DataFrame, mint: Mint, *, rebuild: bool = False) -> pl.DataFrame:
    """The rows to append to the history (CHANGE_SCHEMA), in a fixed order.

    `observed`: one row a combination of identifiers seen together, a column for each of TYPES (null where absent) and
    `first_seen_at`. `known`: who holds each identifier now (KNOWN_SCHEMA); at least all identifiers of every profile
    that holds an observed one. What is known to belong together stays together, unless `rebuild`: then only what is
    observed counts (all of it must be in `observed`), and profiles may split.
    """
    seen = _unpivoted(observed, known)
    nodes = _nodes(seen, known, rebuild=rebuild)
    edges = pl.concat([_observed_edges(seen, nodes), _known_edges(nodes, rebuild=rebuild)])
    nodes = nodes.with_columns(part=pl.Series(_parts(len(nodes), edges), dtype=pl.Int64))
    owners = _owners(nodes, rebuild=rebuild)
    minted = _minted(nodes.join(owners, on="part", how="anti"), mint)
    return _changes(nodes, owners, minted)


def _unpivoted(observed: pl.DataFrame, known: pl.DataFrame) -> pl.DataFrame:
    """`row, identifier_type, identifier, first_seen_at`; an alias that names no known profile is nobody's."""
    rows = observed.with_row_index("row").unpivot(
        on=list(TYPES), index=["row", "first_seen_at"], variable_name="identifier_type", value_name="identifier"
    )
    rows = rows.drop_nulls("identifier")
    aliases = known.filter(pl.col("identifier_type") == ALIAS).select("identifier")
    foreign = (pl.col("identifier_type") == ALIAS) & ~pl.col("identifier").is_in(aliases["identifier"].implode())
    return rows.filter(~foreign)


def _nodes(seen: pl.DataFrame, known: pl.DataFrame, *, rebuild: bool) -> pl.DataFrame:
    """One row an identifier: its strength (0 strongest), since when it is seen, and who holds it."""
    observed = seen.group_by(_NODE).agg(pl.col("first_seen_at").min())
    if rebuild:
        kept = pl.col("identifier_type") == ALIAS
        known = pl.concat([known.join(observed, on=_NODE, how="semi"), known.filter(kept)]).unique()
    return (
        observed.join(known, on=_NODE, how="full", coalesce=True)
        .with_columns(strength=pl.col("identifier_type").replace_strict({name: at for at, name in enumerate(TYPES)}))
        .sort("strength", "identifier")
        .with_row_index("node")
    )


def _observed_edges(seen: pl.DataFrame, nodes: pl.DataFrame) -> pl.DataFrame:
    """Every identifier of a row to the row's first."""
    placed = seen.join(nodes.select(*_NODE, "node"), on=_NODE)
    return placed.select(pl.col("node").alias("from"), pl.col("node").min().over("row").alias("to"))


def _known_edges(nodes: pl.DataFrame, *, rebuild: bool) -> pl.DataFrame:
    """What is known to belong to one profile to its strongest; in a rebuild only the aliases, which follow it."""
    held = nodes.drop_nulls("profile_id").with_columns(to=pl.col("node").min().over("profile_id"))
    if rebuild:
        held = held.filter(pl.col("identifier_type") == ALIAS)
    return held.select(pl.col("node").alias("from"), "to")


def _parts(size: int, edges: pl.DataFrame) -> Any:
    """The number of the connected part of each node."""
    # imported here: it takes a fifth of a second, and most runs find nothing new
    from scipy.sparse import coo_array  # noqa: PLC0415
    from scipy.sparse.csgraph import connected_components  # noqa: PLC0415

    ends = (edges["from"].to_numpy(), edges["to"].to_numpy())
    graph = coo_array((np.ones(len(edges), dtype=np.int8), ends), shape=(size, size))
    return connected_components(graph, directed=False)[1] if size else []


def _owners(nodes: pl.DataFrame, *, rebuild: bool) -> pl.DataFrame:
    """`part, owner`: the known profile each part keeps; a part without one is not there.

    A profile that fell apart stays with the part that has its strongest identifier. Of several profiles in one part
    the one with the strongest identifier survives, then the oldest, then the one with most identifiers (in a rebuild
    the one with most identifiers comes first).
    """
    claims = (
        nodes.drop_nulls("profile_id")
        .group_by("part", "profile_id")
        .agg(
            pl.col("strength").min(),
            pl.col("node").min(),
            pl.col("minted_at").min(),
            pl.len().alias("held"),
        )
        .sort("profile_id", "strength", "node")
        .unique("profile_id", keep="first", maintain_order=True)
    )
    order = ["held", "strength", "minted_at"] if rebuild else ["strength", "minted_at", "held"]
    falling = [column == "held" for column in order]
    ranked = claims.sort("part", *order, "profile_id", descending=[False, *falling, False], nulls_last=True)
    return ranked.unique("part", keep="first", maintain_order=True).select("part", owner="profile_id")


def _minted(nodes: pl.DataFrame, mint: Mint) -> pl.DataFrame:
    """`part, owner` for parts nobody owns: founded by the strongest identifier, of equals the one seen first."""
    founders = nodes.sort("part", "strength", "first_seen_at", "identifier", nulls_last=True).unique(
        "part", keep="first", maintain_order=True
    )
    pairs = founders.select(_NODE).iter_rows()
    owners = [mint.profile_id(identifier_type, identifier) for identifier_type, identifier in pairs]
    return founders.select("part").with_columns(owner=pl.Series(owners, dtype=pl.String))


def _changes(nodes: pl.DataFrame, owners: pl.DataFrame, minted: pl.DataFrame) -> pl.DataFrame:
    """Every identifier whose holder is new or another, and the alias of every new profile."""
    held = nodes.join(pl.concat([owners.with_columns(new=False), minted.with_columns(new=True)]), on="part")
    moved = held.filter(pl.col("profile_id").is_null() | (pl.col("profile_id") != pl.col("owner")))
    stays = owners.rename({"owner": "profile_id", "part": "home"})
    split = pl.col("home").is_not_null() | pl.col("new")
    rows = moved.join(stays, on="profile_id", how="left").select(
        *_NODE,
        pl.col("owner").alias("profile_id"),
        pl.when(pl.col("profile_id").is_not_null() & split).then(pl.lit("split"))
        .when(pl.col("profile_id").is_not_null()).then(pl.lit("merged"))
        .when("new").then(pl.lit("minted"))
        .otherwise(pl.lit("added"))
        .alias("change"),
        pl.col("profile_id").alias("from_profile_id"),
    )  # fmt: skip
    aliases = minted.select(
        pl.lit(ALIAS).alias("identifier_type"),
        pl.col("owner").alias("identifier"),
        pl.col("owner").alias("profile_id"),
        pl.lit("minted").alias("change"),
        pl.lit(None, dtype=pl.String).alias("from_profile_id"),
    )
    return pl.concat([rows, aliases]).sort(*_NODE).match_to_schema(CHANGE_SCHEMA)
