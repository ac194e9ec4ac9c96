"""Ending with the process that started us: a killed run leaves nothing behind that goes on writing."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable

__all__ = ["watch_parent"]


def watch_parent(end: Callable[[], None], *, poll: float = 0.5) -> None:
    """Call ``end`` from a background thread as soon as the parent of this process is gone.

    Asking for the parent every now and then works on Linux and macOS alike, and survives ``kill -9`` of the parent,
    which no signal handler sees.
    """
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(poll)
        end()

    threading.Thread(target=watch, name="watch-parent", daemon=True).start()
