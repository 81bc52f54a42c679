"""How the recorder answers: as the sink's vendor would, or as its programme says of this request."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import httpx
from aiohttp import web

from sinks.base import Fault, HttpSink
from sinks.recorder_behaviour import Rule, wait_headers

_OURS = frozenset({"x-tailrace-sync", "x-tailrace-as-of", "x-tailrace-request", "host", "content-length"})
_STATUS = {"unauthorised": 401, "forbidden": 403, "too_large": 413, "error": 500, "throttle": 429, "refuse": 400}
TAKEN_FIRST = frozenset({"lose", "duplicate", "garbage", "empty", "late_error", "slow"})


async def original_request(request: web.Request) -> httpx.Request:
    """The request as the sink made it, before transport sent it here."""
    url = f"https://{request.match_info['host']}{request.raw_path.split('/', 3)[-1].join(('/', ''))}"
    headers = [(name, value) for name, value in request.headers.items() if name.lower() not in _OURS]
    original = httpx.Request(request.method, url, headers=headers, stream=httpx.ByteStream(await request.read()))
    original.read()
    return original


def answer(response: httpx.Response, headers: dict[str, str] | None = None) -> web.Response:
    return web.Response(
        status=response.status_code, body=response.content, headers={**response.headers, **(headers or {})}
    )


def instead(rule: Rule, request: web.Request, kind: type[HttpSink], original: httpx.Request) -> web.Response:
    """What happens to a request of which no row is taken."""
    if rule.do == "cut":
        return _cut(request)
    if rule.do == "html":
        return web.Response(text="<html><body>Under maintenance</body></html>", content_type="text/html")
    if rule.do == "refuse":
        return answer(kind.simulate(original, Fault(refuse=rule.reason)).response)
    headers = wait_headers(rule, datetime.now(UTC)) if rule.do == "throttle" else {}
    return web.json_response({"error": rule.reason}, status=_STATUS[rule.do], headers=headers)


async def after(rule: Rule, request: web.Request, response: httpx.Response) -> web.Response:
    """What happens to the answer of a request whose rows were taken."""
    match rule.do:
        case "lose":
            return _cut(request)
        case "garbage":
            return web.Response(status=response.status_code, body=b"\x00\xff{]", content_type="application/json")
        case "empty":
            return web.Response(status=response.status_code, body=b"", content_type="application/json")
        case "late_error":
            return web.json_response({"error": rule.reason}, status=500)
        case "slow":
            await asyncio.sleep(rule.seconds)
        case "duplicate" if request.transport:
            body = response.content
            head = (
                f"HTTP/1.1 {response.status_code} OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}"
            )
            request.transport.write(f"{head}\r\n\r\n".encode() + body)
    return answer(response)


def _cut(request: web.Request) -> web.Response:
    if request.transport:
        request.transport.abort()
    return web.Response()
