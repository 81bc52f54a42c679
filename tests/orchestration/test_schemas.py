"""What `tailrace schema` prints says the same of a file as `tailrace check`."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from orchestration import schemas
from sinks.registry import discover

ROOT = Path(__file__).parents[2]


def mistakes(file: str, written: Any) -> list[str]:
    schema = schemas.schema(file)
    Draft202012Validator.check_schema(schema)
    return [error.message for error in Draft202012Validator(schema).iter_errors(written)]


@pytest.mark.parametrize("file", ["sources", "sinks", "policy"])
def test_an_editor_accepts_the_projects_own_files(file: str) -> None:
    """The schema of a file allows all of the file that the checkout ships."""
    assert mistakes(file, yaml.safe_load((ROOT / f"{file}.yml").read_text())) == []


def test_an_editor_accepts_every_sync_that_is_declared_or_documented() -> None:
    """The schema of a sync has the options of every sink, and takes a share as a percentage."""
    written = [*declared(), documented(), {"sink": "files", "full": True, "guards": {"max_remove": 0.75}}]
    assert len(written) > 5
    assert [mistakes("syncs", entry) for entry in written] == [[] for _ in written]
    properties = schemas.schema("syncs")["properties"]
    assert {option for sink in discover().values() for option in sink.Options.model_fields} <= properties.keys()


@pytest.mark.parametrize(
    "entry",
    [
        {"audience": "Lapsed"},
        {"sink": "crm", "audienc": "Lapsed"},
        {"sink": "crm", "mode": "miror"},
        {"sink": "crm", "rows": 1001},  # no sink takes so many
        {"sink": "crm", "guards": {"max_remove": "ten"}},
        {"sink": "crm", "guards": {"max_remove": -0.1}},
        {"sink": "hook", "idempotent": {"sending": True}},
    ],
    ids=str,
)
def test_an_editor_refuses_what_check_refuses(entry: dict[str, Any]) -> None:
    """A missing or unknown key, and a value that no sink allows, are mistakes for the schema too."""
    assert mistakes("syncs", entry)


def declared() -> list[dict[str, Any]]:
    """The syncs of the shipped models."""
    files = (ROOT / "dbt_project" / "models").rglob("*.yml")
    models = [model for file in files for model in (yaml.safe_load(file.read_text()) or {}).get("models", ())]
    return [entry for model in models for entry in model.get("config", {}).get("meta", {}).get("syncs", ())]


def documented() -> dict[str, Any]:
    """The first example of docs/adding-a-sync.md."""
    page = (ROOT / "docs" / "adding-a-sync.md").read_text()
    return yaml.safe_load(page.split("```yaml\n")[1].split("```")[0])["config"]["meta"]["syncs"][0]
