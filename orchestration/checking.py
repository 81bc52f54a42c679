"""`tailrace check`: everything a pull request can change, read without a warehouse and without a secret."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from assets import configuration, dbt_project, destinations, store, syncs
from assets.journeys import checks, documents, funnel, in_use, seen
from assets.journeys.existing import members
from assets.messages import fitting, templates
from assets.messages.composing import campaign_mistake
from assets.messages.text import Text
from models.errors import ConfigError
from models.settings import Settings
from orchestration.console import Tell
from orchestration.project import Node, models, read_manifest
from warehouse.lint import lint_sql


def check(settings: Settings, tell: Tell) -> Mapping[str, int]:
    """How many of each kind were read. Raises ConfigError for the first file that is wrong, with all its mistakes."""
    bare = replace(settings, environ={})
    tell("reading sources.yml, sinks.yml and policy.yml")
    configuration.policy(bare)
    sources = dbt_project.source_variables(bare)
    sinks = destinations.destinations(bare)
    tell("parsing the dbt project")
    manifest = read_manifest(bare)
    found = models(manifest)
    declared = syncs.load_syncs(bare, manifest)
    tell("checking the journeys")
    texts = templates.templates(bare)
    written = documents.journeys(bare)
    _try_out(bare, texts.values(), manifest)
    known = seen.look(bare, (read.journey for read in written))
    checks.check(bare, manifest, written, seen=known)
    with store.reading_any(bare) as copy:
        if copy and (published := funnel.published(copy)):
            in_use.check(copy, bare, checks.describe(bare, manifest, known), published)
    tell("checking the models' SQL")
    _lint(bare, found)
    return {
        "sources": len(sources),
        "sinks": len(sinks),
        "models": len(found),
        "segments": len(models(manifest, "segments")),
        "syncs": len(declared),
        "journeys": len(written),
        "templates": len(texts),
    }


def _try_out(settings: Settings, texts: Iterable[Text], manifest: Mapping[str, Any]) -> None:
    """Refuse templates that cannot be rendered for somebody, and campaign parameters that cannot be filled in."""
    policy = configuration.parse(settings.project / "policy.yml")
    for name, text in configuration.policy(settings).campaign.items():
        if message := campaign_mistake(text):
            raise policy.error(message, "campaign", name)
    profiles = checks.profile_types(manifest)
    wrong = []
    for read in texts:
        try:
            fitting.try_out(read, profiles)
        except ConfigError as error:
            wrong.append(error)
    if wrong:
        raise ConfigError.together(wrong)


def existing(settings: Settings) -> Mapping[str, int]:
    """Journey → members that publishing it would take in at once; empty while nothing is published."""
    with store.reading_any(settings) as copy:
        written = [read.journey for read in documents.journeys(settings)]
        return members(copy, written, funnel.published(copy)) if copy else {}


def _lint(settings: Settings, models: Iterable[Node]) -> None:
    """Refuse clocks, chance and what is not portable, in the models as they are written."""
    files = [settings.dbt_project / node["original_file_path"] for node in models]
    found = [each for file in files for each in lint_sql(file.read_text(), configuration.shown_path(file))]
    if found:
        raise ConfigError.together(
            ConfigError(each.message, file=each.file, line=each.line, column=each.column) for each in found
        )
