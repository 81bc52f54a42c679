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
    journey = "journey"


def register(app: typer.Typer) -> None:
    for command in (check, sinks, schema):
        app.command()(command)


def check(*, as_json: AsJson = False) -> None:
    """Read everything a pull request can change: YAML files, models, syncs, journeys, SQL. No warehouse, no secret.

    Where something was refreshed, also how many people a journey with `existing: true` would take in.
    Example: `tailrace check`
    """
    from orchestration import checking

    with console.progress(quiet=as_json) as tell:
        now = settings()
        found, existing = checking.check(now, tell), checking.existing(now)
    if as_json:
        console.print_json({"ok": True, **found, "existing": existing})
        return
    screen = console.out()
    screen.print("ok: " + ", ".join(f"{count} {what}" for what, count in found.items()))
    for journey, count in existing.items():
        screen.print(
            f"{journey}: {count:,} present members enter when it is published (`existing: true`)", markup=False
        )


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


def schema(
    file: Annotated[File, typer.Argument(help="The YAML file; `syncs`: an entry of a model's meta.syncs.")],
    *,
    as_json: AsJson = False,
) -> None:
    """The JSON Schema of one of our YAML files, for an editor. With --json, on one line.

    Example: `tailrace schema sources > sources.schema.json`
    """
    from orchestration import schemas

    found = schemas.schema(file)
    print(json.dumps(found, indent=None if as_json else 2))  # noqa: T201 - to be redirected, as it is
