"""Commands about the project itself, none of which needs a warehouse or a secret: check, sinks, schema."""
# ruff: noqa: PLC0415 - imported when the command runs: `tailrace --help` must not wait for dbt

from __future__ import annotations

import json
from enum import StrEnum
from typing import Annotated

import typer

from orchestration import console
from orchestration.commands.options import AsJson
from orchestration.environment import settings


class File(StrEnum):
    sources = "sources"
    sinks = "sinks"
    policy = "policy"
    syncs = "syncs"


def register(app: typer.Typer) -> None:
    for command in (check, sinks, schema):
        app.command()(command)


def check(*, as_json: AsJson = False) -> None:
    """Read everything a pull request can change: YAML files, models, syncs, SQL. No warehouse, no secret.

    Example: `tailrace check`
    """
    from orchestration import checking

    with console.progress(quiet=as_json) as tell:
        found = checking.check(settings(), tell)
    if as_json:
        console.print_json({"ok": True, **found})
    else:
        console.out().print("ok: " + ", ".join(f"{count} {what}" for what, count in found.items()))


def sinks(*, as_json: AsJson = False) -> None:
    """The sinks that exist, with their options, and the destinations that sinks.yml makes of them.

    Examples: `tailrace sinks` · `tailrace sinks --json`
    """
    from orchestration import sink_list

    found = sink_list.describe(settings())
    if as_json:
        console.print_json(found)
        return
    rows = [
        {**row, "destinations": ", ".join(row["destinations"]) or None, "options": ", ".join(row["options"])}
        for row in found
    ]
    console.out().print(console.table(rows))


def schema(file: Annotated[File, typer.Argument(help="The YAML file, or `syncs` for a model's meta.syncs.")]) -> None:
    """The JSON Schema of one of our YAML files, for an editor.

    Example: `tailrace schema sources > sources.schema.json`
    """
    from pydantic import BaseModel

    from models.policy import Policy
    from models.source import Sources
    from models.sync import Destinations, SyncEntry

    contracts: dict[File, type[BaseModel]] = {
        File.sources: Sources,
        File.sinks: Destinations,
        File.policy: Policy,
        File.syncs: SyncEntry,
    }
    print(json.dumps(contracts[file].model_json_schema(), indent=2))  # noqa: T201 - to be redirected, as it is
