"""`python -m orchestration.served`: the command `tailrace` as a service of the process that began it, and ends with it.

That process keeps a pipe open; however it ends, killed too, the pipe closes and the service stops as on SIGTERM.
"""

from __future__ import annotations

import os
import signal
import sys
import threading

from orchestration.cli import main


def _end_with_parent() -> None:
    sys.stdin.buffer.read()
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    threading.Thread(target=_end_with_parent, daemon=True).start()
    main()
