"""The small worlds with a PostgreSQL database each, or two: warehouse and journal. They are copied like a folder."""

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

    def settled(self, world: AnyWorld, *, journal: bool = False) -> AnyWorld:
        """The same world, with a database of its own that is empty, and another for its journal if asked."""
        return replace(world, warehouse=self.database(), journal=self.database() if journal else None)

    def copied(self, world: AnyWorld, folder: Path) -> AnyWorld:
        """Folder and databases; nobody may be connected to them."""
        shutil.copytree(world.folder, folder, symlinks=True)
        assert world.warehouse
        warehouse, journal = self.database(world.warehouse), world.journal and self.database(world.journal)
        return replace(world, folder=folder, port=0, warehouse=warehouse, journal=journal, _recorder=None)

    def put_back(self, url: str, kept: str | None) -> None:
        """The database is what `kept` is, which is gone then; or empty."""
        self.forget(url)
        with Postgres(self.served.url) as opened:
            how = f"alter database {_name(kept)} rename to" if kept else "create database"
            opened.execute(f"{how} {_name(url)}")

    def forget(self, *urls: str | None) -> None:
        with Postgres(self.served.url) as opened:
            for url in filter(None, urls):
                opened.execute(f"drop database if exists {_name(url)} with (force)")

    def strike(self, url: str, how: str) -> None:
        """`cut` its connections, or `restart` or `crash` the server. By the main thread, with which the server ends."""
        if how == "cut":
            with Postgres(self.served.url) as opened:
                opened.rows(f"select pg_terminate_backend(pid) from pg_stat_activity where datname = '{_name(url)}'")
        else:
            self.served.restart(crash=how == "crash")

    def database(self, like: str | None = None) -> str:
        """A new one: a copy of another, or empty."""
        name = f"t{uuid4().hex[:12]}"
        with Postgres(self.served.url) as opened:
            opened.execute(f"create database {name}" + (f" template {_name(like)}" if like else ""))
            if like:  # else a crash soon after has the copy's sequences give numbers that they gave before it
                opened.execute("checkpoint")
        return urlsplit(self.served.url)._replace(path=f"/{name}").geturl()


def _name(url: str) -> str:
    return urlsplit(url).path.removeprefix("/")
