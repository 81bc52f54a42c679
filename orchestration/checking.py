"""`tailrace check`: everything a pull request can change, read without a warehouse and without a secret."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from assets import configuration, dbt_project, sql_rules, syncs
from models.settings import Settings
from models.sync import Destinations
from orchestration.console import Tell
from orchestration.project import models, read_manifest


def check(settings: Settings, tell: Tell) -> Mapping[str, int]:
    """How many of each kind were read. Raises ConfigError for the first file that is wrong, with every mistake in it."""
    bare = replace(settings, environ={})
    tell("reading sources.yml, sinks.yml and policy.yml")
    configuration.policy(bare)
    sources = dbt_project.source_variables(bare)
    destinations = configuration.load(bare.project / "sinks.yml", Destinations).sinks
    tell("parsing the dbt project")
    manifest = read_manifest(bare)
    found = models(manifest)
    declared = syncs.load_syncs(bare, manifest)
    tell("checking the models' SQL")
    sql_rules.check(bare, found)
    return {
        "sources": len(sources),
        "sinks": len(destinations),
        "models": len(found),
        "segments": len(models(manifest, "segments")),
        "syncs": len(declared),
    }
