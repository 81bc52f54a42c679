"""Which identifiers belong together, worked out by the engine, for more of them than one process holds.

Large-star and small-star in turn until every part is a star: each pair halves the longest path, so that a chain of a
million took sixteen rounds, where passing the smallest label on would take a million. After R. Kiveris and
others, "Connected Components in MapReduce and Beyond", 2014.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from assets.resolution import ALIAS, TYPES
from warehouse.base import Warehouse
from warehouse.query import render

SQL = Path(__file__).parent / "sql" / "identity"
LINK, NEXT = "identity_link", "identity_link_next"
PLACES = 256  # as many pieces as there can be


def _node(kind: str, identifier: str) -> str:
    return f"md5({kind} || chr(31) || {identifier})"


KNOWN = _node("known_identifier.identifier_type", "known_identifier.identifier")


def tie(warehouse: Warehouse) -> None:
    """Make of the temporary tables `observed` and `known_identifier` the temporary table `identity_link`.

    It has one row a node, an md5 of type and identifier, that is not the first of its part: `node`, `parent`.
    """
    nodes, profile = _nodes(warehouse), _node(warehouse.dialect.literal(ALIAS), "profile_id")
    links = render(SQL, "links", warehouse.dialect, nodes=nodes, first=_first(nodes), known=KNOWN, profile=profile)
    warehouse.create_temporary(LINK, links)
    tied(warehouse)


def tied(warehouse: Warehouse) -> int:
    """Make stars of the links in `identity_link`: pairs of different texts, the greater first. The rounds it took."""
    rounds = 0
    while not _are_stars(warehouse):
        for star in ("large_star", "small_star"):
            warehouse.create_temporary(NEXT, render(SQL, star, warehouse.dialect))
            warehouse.replace_temporary(LINK, by=NEXT)
        rounds += 1
    return rounds


def placed(warehouse: Warehouse, count: int) -> Iterator[tuple[str, str]]:
    """SQL of the identifiers seen together and of those known, in `count` pieces; no part is in two of them."""
    for name, first in (("observed", _first(_nodes(warehouse))), ("known_identifier", KNOWN)):
        place = f"substring(md5(coalesce({LINK}.parent, {first})), 1, 2)"
        query = f"select {name}.*, {place} as _place from {name} left join {LINK} on {LINK}.node = {first}"
        warehouse.create_temporary(f"{name}_placed", query)
    columns = ", ".join((*TYPES, "first_seen_at"))
    bounds = [f"{PLACES * number // count:02x}" for number in range(count)]
    for low, high in zip(bounds, [*bounds[1:], "zz"], strict=True):
        within = f"_place >= '{low}' and _place < '{high}'"
        yield (
            f"select {columns} from observed_placed where {within}",
            f"select identifier_type, identifier, profile_id, minted_at from known_identifier_placed where {within}",
        )


def _are_stars(warehouse: Warehouse) -> bool:
    """Whether every node has one parent, which has none."""
    found = warehouse.rows(
        f"select count(*) - count(distinct node) as several, "
        f"(select count(*) from {LINK} as links where links.parent in (select node from {LINK})) as paths from {LINK}"
    )[0]
    return not found["several"] and not found["paths"]


def _nodes(warehouse: Warehouse) -> list[str]:
    return [_node(warehouse.dialect.literal(name), f"observed.{name}") for name in TYPES]


def _first(nodes: list[str]) -> str:
    return f"coalesce({', '.join(nodes)})"
