"""`tailrace ui`: Dagster's web server and daemon on this project, with a recorder in dev; Ctrl-C ends all of them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from pathlib import Path

from models.errors import NeedsPerson, UserError
from models.settings import Settings
from orchestration import dagster_home, local_recorder
from orchestration.environment import child

STOP_SECONDS = 20.0


def run(settings: Settings, port: int, starting: Callable[[Mapping[str, str | None]], None] | None = None) -> None:
    """Until it is interrupted. Raises UserError where the port is taken, NeedsPerson where Dagster ends by itself.

    `starting` hears the addresses and owns stdout: what Dagster prints goes to stderr then.
    """
    if not local_recorder.is_free(port):
        message = f"port {port} is not free; name another with --port"
        raise UserError(message)
    home = dagster_home.prepare(settings)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # a process manager's word for Ctrl-C
    recording = settings.target == "dev"
    recorder = local_recorder.running(settings) if recording else nullcontext(settings)
    with recorder as here:
        process = subprocess.Popen(  # noqa: S603 - Dagster's own command, from this environment
            [*command(), "-h", "127.0.0.1", "-p", str(port)],
            cwd=Path(__file__).parent.parent,
            env=child(here, DAGSTER_HOME=str(home)),
            stdout=sys.stderr if starting else None,
            preexec_fn=_listen_to_signals,  # noqa: PLW1509 - no thread runs yet
            start_new_session=True,
        )
        try:
            if starting:
                starting({"url": f"http://127.0.0.1:{port}", "recorder": here.recorder if recording else None})
            code = process.wait()
        except KeyboardInterrupt:
            code = 0
        finally:
            stop(process)
    if code:
        message = f"dagster ended with {code}; what it said is above"
        raise NeedsPerson(message)


def command() -> list[str]:
    """`dagster dev` of this environment."""
    return [str(Path(sys.executable).parent / "dagster"), "dev", "-w", "workspace.yaml"]


def stop(process: subprocess.Popen[bytes]) -> None:
    """End it and all it started: it leads a process group of its own."""
    for sign in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
        if _ended(process):
            return
        os.killpg(process.pid, sign)
        try:
            process.wait(timeout=STOP_SECONDS)
        except subprocess.TimeoutExpired:
            continue


def _ended(process: subprocess.Popen[bytes]) -> bool:
    """Whether nothing of the group is left."""
    process.poll()
    try:
        os.killpg(process.pid, 0)
    except ProcessLookupError:
        return True
    return False


def _listen_to_signals() -> None:
    """A shell's `&` makes its children deaf to Ctrl-C, and Dagster passes that on."""
    for sign in (signal.SIGINT, signal.SIGTERM):
        signal.signal(sign, signal.default_int_handler if sign is signal.SIGINT else signal.SIG_DFL)
