"""Which sinks there are: the modules of this package that define one."""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache

from models.errors import UserError
from sinks.base import Sink


def discover() -> dict[str, type[Sink]]:
    """Every sink by its module's name: the modules of this package that define a concrete subclass of `Sink`."""
    return {name: found for name in _modules() if (found := _defined(name))}


def load(name: str) -> type[Sink]:
    """The sink of this name; no other module is imported. Raises UserError naming those there are."""
    found = _defined(name) if name in _modules() else None
    if found is None:
        message = f"no sink '{name}'; there are: {', '.join(sorted(discover()))}"
        raise UserError(message)
    return found


@cache
def _modules() -> tuple[str, ...]:
    package = importlib.import_module("sinks").__path__
    return tuple(module.name for module in pkgutil.iter_modules(package) if module.name != "base")


@cache
def _defined(module: str) -> type[Sink] | None:
    loaded = importlib.import_module(f"sinks.{module}")
    own = [kind for kind in vars(loaded).values() if isinstance(kind, type) and kind.__module__ == loaded.__name__]
    return next((kind for kind in reversed(own) if issubclass(kind, Sink)), None)
