"""Writes docs/reference/ and docs/channels/ from the code: commands, published tables, a page a sink. By `make docs`.

python docs/reference.py [--check]     --check: fail where a page is not what the code says
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import typer
import yaml
from pydantic_core import PydanticUndefined
from typer.cli import get_docs_for_click

from orchestration.cli import app
from sinks.base import BulkSink
from sinks.registry import discover
from sinks.reporting import Reporting

ROOT = Path(__file__).resolve().parent.parent
PAGES = ROOT / "docs" / "reference"
WRITTEN = "<!-- Written by `make docs` from the code; a change here is lost. -->\n\n"


def commands() -> str:
    """The command line, as its own help says it."""
    command = typer.main.get_command(app)
    context = typer.Context(command, info_name="tailrace")
    return get_docs_for_click(obj=command, ctx=context, name="tailrace", title="Commands")


def sinks() -> str:
    """A line a sink: what it carries, and where its page is."""
    lines = ["# Sinks", "", "| sink | carries | modes | reports back |", "|---|---|---|---|"]
    for name, sink in sorted(discover().items()):
        carries = f"messages by {sink.channel}" if sink.channel else "rows"
        modes = ", ".join(sorted(sink.modes))
        hears = "yes" if issubclass(sink, Reporting) else "no"
        lines.append(f"| [`{name}`](../channels/{name}.md) | {carries} | {modes} | {hears} |")
    return "\n".join(lines)


def channel(name: str, sink: Any) -> str:
    """A sink's page: what its module says, an entry of sinks.yml, its options, its limits, what it may do twice."""
    module = (sys.modules[sink.__module__].__doc__ or "").strip()
    made = sink(sink.Options(**_examples(sink)), dict.fromkeys(sink.secrets, ""))
    limits = made.limits
    pace = f", {limits.per_second:g} requests a second" if limits.per_second else ""
    lines = [f"# `{name}`", "", module, "", "```yaml", *_entry(name, sink), "```", ""]
    lines += ["| operation | may be done twice |", "|---|---|"]
    lines += [
        f"| {op} | {'yes' if operation.idempotent else 'no: an answer that is lost leaves it `unknown`'} |"
        for op, operation in made.operations.items()
    ]
    if not issubclass(sink, BulkSink):
        lines += [
            "",
            f"With the options above, a request holds at most {limits.rows:,} rows and {limits.bytes:,} bytes;",
        ]
        lines += [f"{limits.connections} are in flight{pace}; an answer is given up after {limits.timeout:g} seconds."]
    if issubclass(sink, Reporting):
        hook = "Its provider calls `POST /webhooks/<its name in sinks.yml>` of the [gateway](../webhooks.md), and signs"
        lines += ["", f"{hook} with {' and '.join(f'`{secret}`' for secret in sink.webhook_secrets)}."]
    lines += ["", "| option | default | what it is |", "|---|---|---|"]
    for option, field in sink.Options.model_fields.items():
        extra = field.json_schema_extra
        where = " *Changing it makes another sync.*" if isinstance(extra, dict) and extra.get("destination") else ""
        default = (
            "required" if field.default is PydanticUndefined and not field.default_factory else f"`{_default(field)}`"
        )
        lines.append(f"| `{option}` | {default} | {field.description or ''}{where} |")
    return "\n".join([*lines, ""])


def _examples(sink: Any) -> dict[str, Any]:
    return {option: field.examples[0] for option, field in sink.Options.model_fields.items() if field.examples}


def _entry(name: str, sink: Any) -> Iterator[str]:
    """As it may stand in sinks.yml."""
    hooks = sink.webhook_secrets if issubclass(sink, Reporting) else ()
    secrets = {secret: f"{name}_{secret}".upper() for secret in dict.fromkeys((*sink.secrets, *hooks))}
    entry = {"sink": name, **({"secrets": secrets} if secrets else {}), "options": _examples(sink)}
    yield from yaml.safe_dump(
        {"sinks": {f"my_{name}": {k: v for k, v in entry.items() if v}}}, sort_keys=False
    ).splitlines()


def _default(field: Any) -> str:
    value = field.get_default(call_default_factory=True)
    return str(value) if value not in (None, "") else "none"


def models() -> str:
    """Every model an analyst may read, with its grain and its columns, as the dbt project describes it."""
    lines = ["# Models", "", "What dbt builds; `segments`, `syncs`, `marts` and `profiles` are published.", ""]
    for folder, model in _described("models"):
        lines += _table(model, f"*{folder}.* ")
    return "\n".join(lines)


def tables() -> str:
    """Every table that Python keeps and publishes, as the dbt project describes its sources."""
    lines = ["# Tables", "", "What Python keeps beside the models. All of it is published; marts may read it.", ""]
    for _, source in _described("sources"):
        for table in source["tables"]:
            lines += _table(table)
    return "\n".join(lines)


def _table(described: Mapping[str, Any], place: str = "") -> Iterator[str]:
    """A section: what it is, with its grain, and its columns."""
    yield from (f"## `{described['name']}`", "", f"{place}{described.get('description', '').strip()}", "")
    if described.get("columns"):
        yield from ("| column | what it is |", "|---|---|")
        yield from (f"| `{column['name']}` | {column.get('description', '')} |" for column in described["columns"])
        yield ""


def _described(kind: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The entries under `models` or `sources` of every YAML file of the project, with their folder."""
    for path in sorted((ROOT / "dbt_project" / "models").rglob("*.yml")):
        for entry in (yaml.safe_load(path.read_text()) or {}).get(kind, ()):
            yield path.parent.name, entry


def main() -> int:
    """Write the pages, or say which are not what the code says."""
    pages = {"commands.md": commands(), "sinks.md": sinks(), "models.md": models(), "tables.md": tables()}
    pages |= {f"../channels/{name}.md": channel(name, sink) for name, sink in sorted(discover().items())}
    stale = []
    for name, text in pages.items():
        page = PAGES / name
        wanted = WRITTEN + text.rstrip() + "\n"
        if page.exists() and page.read_text() == wanted:
            continue
        stale.append(name)
        if "--check" not in sys.argv:
            page.parent.mkdir(parents=True, exist_ok=True)
            page.write_text(wanted)
    told = ", ".join(stale) or "nothing"
    print(f"{'stale' if '--check' in sys.argv else 'written'}: {told}")
    return 1 if stale and "--check" in sys.argv else 0


if __name__ == "__main__":
    sys.exit(main())
