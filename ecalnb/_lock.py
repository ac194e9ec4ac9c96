"""One process at a time in a folder."""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

__all__ = ["LOCK", "folder_lock"]

LOCK = ".ecalnb.lock"
"""Name of the file that is locked; it stays."""


@contextlib.contextmanager
def folder_lock(folder: Path, busy: Callable[[str], None] = lambda _: None, *, poll: float = 0.3) -> Iterator[int]:
    """Hold the lock of a folder, after waiting for whoever holds it.

    The lock ends with the processes that hold its file descriptor, so that nothing is left to clean up after a kill.

    Parameters
    ----------
    folder : Path
        An existing folder.
    busy : callable
        Called once with the number of the process that has the lock, if another has it; what it raises ends the wait.
    poll : float
        Seconds between two tries.

    Yields
    ------
    int
        The file descriptor that holds the lock, to hand on to a child that is to hold it too.
    """
    path = folder / LOCK
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        told = False
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if not told:
                    busy(path.read_text().strip() or "unknown")
                    told = True
                time.sleep(poll)
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, str(os.getpid()).encode(), 0)
        yield descriptor
    finally:
        os.close(descriptor)
