"""A gateway on a folder of its own, spoken to without a network."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from models.journal_place import Place
from tests.gateway.house import Client, House


@pytest.fixture
def house(tmp_path: Path, place: Place) -> House:
    return House(tmp_path, place=place)


@pytest.fixture
def client(house: House) -> Iterator[Client]:
    with Client(house.gate()) as opened:
        yield opened
