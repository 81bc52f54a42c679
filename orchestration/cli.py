"""The command `tailrace`: the list of commands, and how an error becomes a message and an exit code.

0 done · 1 needs a person · 2 the user's mistake · 3 refused. A traceback is a bug of ours.
"""

from __future__ import annotations

import gc
import sys

import typer

from models.errors import ConfigError, TailraceError
from orchestration import console
from orchestration.commands import data, delivery, demo, journeys, messages, operate, past, project

app = typer.Typer(
    name="tailrace",
    help="Turns a data warehouse into its marketing automation system.",
    epilog="Start with `tailrace demo`, then `tailrace status`.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,  # a bug's plain traceback shows no values, which may be personal data
    rich_markup_mode="markdown",
    add_completion=False,
)
for module in (demo, data, past, journeys, messages, delivery, operate, project):
    module.register(app)


def main() -> None:
    """What the console script calls."""
    gc.set_threshold(100_000)  # what is imported stays: to look through it for garbage is a tenth of an import of dbt
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """Run one command line; the exit code."""
    as_json = "--json" in arguments
    try:
        done = app(arguments, standalone_mode=False)
    except TailraceError as error:
        return _fail(_kind(error), str(error), error.exit_code, as_json=as_json, error=error)
    except typer.TyperException as error:
        return _fail("usage", error.format_message(), error.exit_code, as_json=as_json)
    except (typer.Abort, KeyboardInterrupt):
        return _fail("stopped", "stopped; what was done is kept, the same command goes on", 1, as_json=as_json)
    return done if isinstance(done, int) else 0


def _kind(error: TailraceError) -> str:
    """`WarehouseHeld` → `warehouse_held`."""
    name = type(error).__name__
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name).lstrip("_")


def _fail(kind: str, message: str, code: int, *, as_json: bool, error: TailraceError | None = None) -> int:
    if as_json:
        where = {"file": error.file, "line": error.line, "key": error.key} if isinstance(error, ConfigError) else {}
        places = dict.fromkeys(("file", "line", "key")) | where
        console.print_json({"error": {"kind": kind, "message": message, **places}})
    else:
        console.err().print("[bold red]error:[/]", end=" ")
        console.err().print(message, markup=False)
    return code
