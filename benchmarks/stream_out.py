"""A relation streamed out by this process alone, which prints its own peak of memory in MB.

python benchmarks/stream_out.py HOME RELATION [URL]      the home of a target, or the URL of its warehouse besides
"""

from __future__ import annotations

import sys
from pathlib import Path

from plan_and_deliver import peak

from models.settings import Settings
from warehouse.base import Warehouse
from warehouse.engine import engine


def read(warehouse: Warehouse, relation: str) -> int:
    """All rows as they come, none kept."""
    return sum(len(batch) for batch in warehouse.stream(f"select * from {relation}"))


def main(home: str, relation: str, url: str = "") -> None:
    with engine(Settings(Path(home), Path(home), warehouse_url=url or None)).open() as warehouse:
        read(warehouse, relation)
    print(peak())


if __name__ == "__main__":
    main(*sys.argv[1:])
