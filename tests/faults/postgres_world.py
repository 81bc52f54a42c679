"""The small worlds with their warehouse in a PostgreSQL database each, which the server copies like a folder."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit
from uuid import uuid4

from tests.engines.serving import Served
from tests.faults.world import World
from warehouse.postgres import Postgres

AnyWorld = TypeVar("AnyWorld", bound=World)


@dataclass(frozen=True)
class Server:
    """A server of the tests' own, and what can befall it."""

    served: Served

    def settled(self, world: AnyWorld) -> AnyWorld:
        """The same world, with a database of its own that is empty."""
        return replace(world, warehouse=self._database())

    def copied(self, world: AnyWorld, folder: Path) -> AnyWorld:
        """Folder and database; nobody may be connected to it."""
        shutil.copytree(world.folder, folder, symlinks=True)
        assert world.warehouse
        return replace(world, folder=folder, port=0, warehouse=self._database(like=world.warehouse), _recorder=None)

    def kept(self, world: World) -> str:
        """What the database holds now, as another one."""
        assert world.warehouse
        return self._database(like=world.warehouse)

    def put_back(self, world: World, kept: str) -> None:
        """Its database is what it was; `kept` is gone."""
        assert world.warehouse
        self.forget(world.warehouse)
        with Postgres(self.served.url) as opened:
            opened.execute(f"alter database {_name(kept)} rename to {_name(world.warehouse)}")

    def forget(self, url: str) -> None:
        with Postgres(self.served.url) as opened:
            opened.execute(f"drop database if exists {_name(url)} with (force)")

    def cut(self, world: World) -> int:
        """End every connection to its database; how many there were."""
        assert world.warehouse
        with Postgres(self.served.url) as opened:
            return len(
                opened.rows(
                    f"select pg_terminate_backend(pid) from pg_stat_activity where datname = '{_name(world.warehouse)}'"
                )
            )

    def strike(self, world: World, how: str) -> None:
        """`cut`, `restart` or `crash`. By the main thread: the server ends with the thread that began it."""
        if how == "cut":
            self.cut(world)
        else:
            self.served.restart(crash=how == "crash")

    def _database(self, like: str | None = None) -> str:
        name = f"t{uuid4().hex[:12]}"
        with Postgres(self.served.url) as opened:
            opened.execute(f"create database {name}" + (f" template {_name(like)}" if like else ""))
        return urlsplit(self.served.url)._replace(path=f"/{name}").geturl()


def _name(url: str) -> str:
    return urlsplit(url).path.removeprefix("/")
