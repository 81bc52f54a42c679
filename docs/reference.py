"""Writes docs/reference/ from the code: every command, every sink's options, every published table. Run by `make docs`.

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
from sinks.base import discover

ROOT = Path(__file__).resolve().parent.parent
PAGES = ROOT / "docs" / "reference"
WRITTEN = "<!-- Written by `make docs` from the code; a change here is lost. -->\n\n"


def commands() -> str:
    """The command line, as its own help says it."""
    command = typer.main.get_command(app)
    context = typer.Context(command, info_name="tailrace")
    return get_docs_for_click(obj=command, ctx=context, name="tailrace", title="Commands")


def sinks() -> str:
    """A section a sink: what it is, its secrets, its options."""
    return "# Sinks\n\n" + "\n".join(_sink(name, sink) for name, sink in sorted(discover().items()))


def _sink(name: str, sink: Any) -> str:
    module = sys.modules[sink.__module__].__doc__ or ""
    lines = [f"## `{name}`", "", module.strip(), "", f"Secrets: {', '.join(sink.secrets) or 'none'}.", ""]
    lines += ["| option | default | what it is |", "|---|---|---|"]
    for option, field in sink.Options.model_fields.items():
        extra = field.json_schema_extra
        where = " *Changing it makes another sync.*" if isinstance(extra, dict) and extra.get("destination") else ""
        default = (
            "required" if field.default is PydanticUndefined and not field.default_factory else f"`{_default(field)}`"
        )
        lines.append(f"| `{option}` | {default} | {field.description or ''}{where} |")
    return "\n".join([*lines, ""])


def _default(field: Any) -> str:
    value = field.get_default(call_default_factory=True)
    return str(value) if value not in (None, "") else "none"


def tables() -> str:
    """Every model an analyst may read, with its grain and its columns, as the dbt project describes it."""
    lines = ["# Models", "", "What dbt builds; `segments`, `syncs`, `marts` and `profiles` are published.", ""]
    for folder, model in _models():
        lines += [f"## `{model['name']}`", "", f"*{folder}.* {model.get('description', '').strip()}", ""]
        if model.get("columns"):
            lines += ["| column | what it is |", "|---|---|"]
            lines += [f"| `{column['name']}` | {column.get('description', '')} |" for column in model["columns"]]
            lines.append("")
    return "\n".join(lines)


def _models() -> Iterator[tuple[str, Mapping[str, Any]]]:
    models = ROOT / "dbt_project" / "models"
    for path in sorted(models.rglob("*.yml")):
        for model in (yaml.safe_load(path.read_text()) or {}).get("models", ()):
            yield path.parent.name, model


def main() -> int:
    """Write the pages, or say which are not what the code says."""
    pages = {"commands.md": commands(), "sinks.md": sinks(), "models.md": tables()}
    stale = []
    for name, text in pages.items():
        page = PAGES / name
        wanted = WRITTEN + text.rstrip() + "\n"
        if page.exists() and page.read_text() == wanted:
            continue
        stale.append(name)
        if "--check" not in sys.argv:
            PAGES.mkdir(parents=True, exist_ok=True)
            page.write_text(wanted)
    told = ", ".join(stale) or "nothing"
    print(f"{'stale' if '--check' in sys.argv else 'written'}: {told}")
    return 1 if stale and "--check" in sys.argv else 0


if __name__ == "__main__":
    sys.exit(main())
