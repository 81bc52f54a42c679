"""A gateway on a folder of its own, spoken to without a network."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.gateway.house import Client, House


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path)


@pytest.fixture
def client(house: House) -> Iterator[Client]:
    with Client(house.gate()) as opened:
        yield opened
