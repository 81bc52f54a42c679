"""Which identifiers belong together is the same by scipy, in one process, and by the engines' own SQL."""

import random
from itertools import pairwise

import polars as pl
import pyarrow as pa
import pytest

from assets import components
from assets.resolution import _parts

LONG = 1_000


def path(size):
    """A chain whose nodes come in no order."""
    nodes = random.Random(size).sample(range(size), size)
    return list(pairwise(nodes))


def scattered(size, seed):
    chance = random.Random(seed)
    return [(chance.randrange(size), chance.randrange(size)) for _ in range(size // 2)]


SHAPES = {
    "nothing": [],
    "a pair": [(0, 1)],
    "a circle": [(n, (n + 1) % 50) for n in range(50)],
    "a star": [(7, n) for n in range(30)],
    "two stars that share a leaf": [(0, n) for n in range(1, 9)] + [(20, n) for n in range(8, 20)],
    "everybody with everybody": [(a, b) for a in range(9) for b in range(a)],
    "a few": scattered(40, 1),
    "many": scattered(400, 2),
    "a long path": path(LONG),
}


def name(node):
    return f"{node * 7919 % 10_007:05d}"


@pytest.mark.parametrize("shape", SHAPES)
def test_the_parts_are_those_that_scipy_finds(warehouse, shape):
    """However they hang together; a path of a thousand in fewer rounds than it has bits, twice over."""
    edges = SHAPES[shape]
    pairs = {tuple(sorted(map(name, edge), reverse=True)) for edge in edges if edge[0] != edge[1]}
    schema = pa.schema({"node": pa.string(), "parent": pa.string()})
    rows = [{"node": node, "parent": parent} for node, parent in sorted(pairs)]
    with warehouse.lend("links", pa.Table.from_pylist(rows, schema)):
        warehouse.create_temporary(components.LINK, "select node, parent from links")
    assert components.tied(warehouse) <= 12
    found = {row["node"]: row["parent"] for row in warehouse.rows(f"select node, parent from {components.LINK}")}
    size = 1 + max((max(edge) for edge in edges), default=-1)
    ends = pl.DataFrame(edges, schema={"from": pl.Int64, "to": pl.Int64}, orient="row")
    told = dict(enumerate(_parts(size, ends)))
    assert partition({n: found.get(name(n), name(n)) for n in told}) == partition(told)


def partition(labels):
    parts = {}
    for node, label in labels.items():
        parts.setdefault(label, set()).add(node)
    return sorted(map(sorted, parts.values()))
