"""What `tailrace sinks` says: each sink found, what it takes, and the destinations made of it."""

from __future__ import annotations

import inspect
import sys
from typing import Any

from assets import configuration
from models.settings import Settings
from models.sync import Destinations
from sinks.registry import discover


def describe(settings: Settings) -> list[dict[str, Any]]:
    """One entry a sink, by name."""
    path = settings.project / "sinks.yml"
    configured = configuration.load(path, Destinations).sinks if path.exists() else {}
    return [
        {
            "sink": name,
            "description": (inspect.getdoc(sys.modules[found.__module__]) or "").split("\n")[0],
            "options": list(found.Options.model_fields),
            "secrets": list(found.secrets),
            "modes": sorted(mode.value for mode in found.modes),
            "destinations": sorted(key for key, value in configured.items() if value.sink == name),
        }
        for name, found in sorted(discover().items())
    ]
