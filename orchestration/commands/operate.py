"""Commands for whoever keeps it running: status, doctor, compact, ui, gateway, recorder."""
# ruff: noqa: PLC0415 - imported when the command runs: `tailrace --help` must not wait for dbt

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from orchestration import clocks, console, reports
from orchestration.commands.options import AsJson, AsOf
from orchestration.environment import settings


def register(app: typer.Typer) -> None:
    for command in (status, doctor, compact, take_over, ui, gateway, recorder):
        app.command()(command)


def status(*, as_of: AsOf = None, as_json: AsJson = False) -> None:
    """How everything stands, on one screen: sources, segments, syncs, the last runs, and what needs a person.

    Sources are judged at now; in dev, where clocks are made up, at the last refresh's clock.
    Examples: `tailrace status` · `tailrace status --json`
    """
    from assets import status as standing
    from orchestration.project import read_manifest

    now = settings()
    found = standing.status(now, clocks.clock(now, as_of) if as_of else None, read_manifest(now))
    if as_json:
        console.print_json(found)
    else:
        reports.print_status(found)


def doctor(*, as_json: AsJson = False) -> None:
    """Find what an accident left behind and put it right: interrupted runs, pool slots, old files; say who holds locks.

    Example: `tailrace doctor`
    """
    from orchestration import doctor as practice

    found = practice.examine(settings())
    if as_json:
        console.print_json(found)
        return
    rows = [{"found": one.what, "done": one.remedy} for one in found]
    console.out().print(console.table(rows) if rows else "nothing to put right")


def compact(*, as_json: AsJson = False) -> None:
    """Keep what is append-only small: ledgers without their past, small batches as one, what was replaced freed.

    No row anybody sees becomes another. Dagster's job of this name does it every night. Example: `tailrace compact`
    """
    from orchestration import compacting

    done = compacting.compact(settings())
    if as_json:
        console.print_json(done)
        return
    console.out().print(
        f"{done.merged:,} small batches written as few, {done.ledgers:,} ledgers without their past, "
        f"{done.freed:,} batches freed that were replaced a day ago"
    )
    if done.left:
        console.out().print(f"left as they are, for a run has not ended: {', '.join(done.left)}")


def take_over(*, as_json: AsJson = False) -> None:
    """Let this home write where another did, of which there can be one (Spark); end what runs there first.

    Example: `tailrace take-over`, with a new TAILRACE_HOME because the old one was lost with its machine
    """
    from assets import store

    before = store.take_over(settings())
    if as_json:
        console.print_json({"before": before})
        return
    console.out().print(
        f"this home writes from now on; before it did {before}"
        if before
        else "nothing to take over: this home may write"
    )


def ui(
    *,
    port: Annotated[int, typer.Option(help="On the loopback interface.")] = 3000,
    as_json: AsJson = False,
) -> None:
    """Dagster with its daemon: the graph, runs, schedules and sensors; in dev a recorder too. Ctrl-C ends all.

    With --json, one line with the addresses as it starts; what Dagster says goes to stderr.
    Example: `tailrace ui --port 3001`
    """
    from orchestration import user_interface

    user_interface.run(settings(), port, starting=console.print_json if as_json else None)


def gateway(
    *,
    host: Annotated[
        str, typer.Option(help="Where it listens: beyond the loopback interface only if asked.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="0 picks a free one.")] = 8791,
    proxies: Annotated[
        str, typer.Option(metavar="ADDRESSES", help="Whose X-Forwarded-For is believed, separated by commas.")
    ] = "127.0.0.1",
    as_json: AsJson = False,
) -> None:
    """The service that people and providers reach: unsubscribe links, preferences, webhooks. Ctrl-C ends it.

    With --json, one line with the address once it listens.
    Example: `tailrace gateway --port 8791`, behind the proxy that ends TLS for TAILRACE_GATEWAY
    """
    from orchestration import gateway_service

    now = settings()

    def ready(taken: int) -> None:
        url = f"http://{host}:{taken}"
        if as_json:
            console.print_json({"url": url, "public": now.gateway})
        else:
            console.err().print(f"gateway on {url}, known as {now.gateway}")

    gateway_service.run(now, host, port, ready, proxies=proxies)


def recorder(
    *,
    port: Annotated[int, typer.Option(help="On the loopback interface; 0 picks a free one.")] = 8790,
    db: Annotated[Path | None, typer.Option(help="Where it keeps what it receives; default: the target's.")] = None,
    as_json: AsJson = False,
) -> None:
    """The shipped local vendor: takes what syncs send in dev, answers as the real one would, shows what it received.

    With --json, one line with the address once it listens.
    Example: `tailrace recorder --port 8790`, then `curl 127.0.0.1:8790/_received`
    """
    from sinks import recorder_server

    file = db or settings().recorder_db
    file.parent.mkdir(parents=True, exist_ok=True)

    def ready(taken: int) -> None:
        url = f"http://127.0.0.1:{taken}"
        if as_json:
            console.print_json({"url": url, "db": file})
        else:
            console.err().print(f"recorder on {url}, {file}")

    recorder_server.serve(port, file, ready=ready)
