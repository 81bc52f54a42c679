"""The code location: everything Dagster runs and shows, made from the project that the environment names."""

from __future__ import annotations

import dagster as dg

from orchestration.code_location import build
from orchestration.environment import settings

defs: dg.Definitions = build(settings())
