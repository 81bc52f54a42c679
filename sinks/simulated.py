"""What every sink's `simulate` needs: answers as a vendor gives them, and the refusal of a wrong secret."""

from __future__ import annotations

import httpx
import orjson

from sinks.base import Simulated


def json_response(status: int, answer: object) -> httpx.Response:
    """Made as transport makes it: 5 µs, and read."""
    headers = [("Content-Type", "application/json")]
    response = httpx.Response(status, headers=headers, stream=httpx.ByteStream(orjson.dumps(answer)))
    response.read()
    return response


def refused_without(request: httpx.Request, header: str, value: str) -> Simulated | None:
    """A 401 unless the request carries this header: authentication is exercised in dev too."""
    if request.headers.get(header) == value:
        return None
    return Simulated(json_response(401, {"error": f"{header} is missing or wrong"}))
