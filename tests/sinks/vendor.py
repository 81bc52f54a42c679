"""A vendor without a network: does to each request what a script says, then all right, and keeps what it took."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx

from models.sync import Op
from sinks.base import Fault, HttpSink, Known
from sinks.transport import Lost, NotSent

REFUSALS = {"500": 500, "429": 429, "413": 413, "page": 200}
WHAT = ("ok", "refused", "cut", "lost", "late 500", "garbage", "reject", "whole", *REFUSALS)


@dataclass
class Vendor:
    """`script` says what becomes of the next requests, one of WHAT each; it is used up, over all runs."""

    sink: HttpSink
    script: list[str] = field(default_factory=list)
    heard: list[Known] = field(default_factory=list)  # rows it really took, in order, whatever it answered

    def __call__(self, request: httpx.Request, _ordinal: int) -> httpx.Response:
        what = self.script.pop(0) if self.script else "ok"
        if what in REFUSALS:
            return httpx.Response(REFUSALS[what], text="<html>", headers={"retry-after": "0"})
        if what in {"refused", "cut"}:
            raise NotSent(what) if what == "refused" else Lost(what)
        fault = {"reject": Fault(reject={0: "bad"}), "whole": Fault(refuse="bad")}.get(what, Fault())
        simulated = self.sink.simulate(request, fault)
        self.heard += simulated.rows
        if what == "lost":
            raise Lost(what)
        return {"late 500": httpx.Response(500), "garbage": httpx.Response(200, content=b"{]")}.get(
            what, simulated.response
        )

    @property
    def taken(self) -> Counter[str]:
        """Identity → how often it was taken."""
        return Counter(row.identity for row in self.heard)

    @property
    def audience(self) -> dict[str, Mapping[str, Any]]:
        """Identity → payload of everyone it holds."""
        held: dict[str, Mapping[str, Any]] = {}
        for row in self.heard:
            if row.op is Op.REMOVE:
                held.pop(row.identity, None)
            else:
                held[row.identity] = row.payload
        return held
