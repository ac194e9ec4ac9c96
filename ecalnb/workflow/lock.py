"""One run at a time in an output directory."""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

__all__ = ["output_lock"]


@contextlib.contextmanager
def output_lock(
    output_dir: Path, waiting: Callable[[str], None] = lambda _: None, *, poll: float = 0.3
) -> Iterator[int]:
    """Hold the lock of an output directory, after waiting for whoever holds it.

    The lock ends with the processes that hold its file descriptor, so that nothing is left to clean up after a kill.

    Parameters
    ----------
    output_dir : Path
        An existing directory.
    waiting : callable
        Told once, in one sentence, if another process has the lock.
    poll : float
        Seconds between two tries.

    Yields
    ------
    int
        The file descriptor that holds the lock, to hand on to a child that is to hold it too.
    """
    path = output_dir / ".ecalnb.lock"
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        told = False
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if not told:
                    holder = path.read_text().strip() or "unknown"
                    waiting(f"another run (process {holder}) is at work in {output_dir}; waiting for it to end")
                    told = True
                time.sleep(poll)
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, str(os.getpid()).encode(), 0)
        yield descriptor
    finally:
        os.close(descriptor)
