"""Files that appear when they are whole, and the errors of this package."""

from __future__ import annotations

import os
import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

__all__ = ["DamagedShard", "StoreError", "remove_leftovers", "replacing", "writing"]


class StoreError(ValueError):
    """A store, a shard, or what was asked of them is not as it should be."""


class DamagedShard(StoreError):
    """A file that should be a shard cannot be read as one; converting its source again makes it new."""


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Temporary name beside ``path`` that becomes ``path`` when the block ends well, and goes away otherwise.

    Raises
    ------
    StoreError
        If writing fails (a full disk, no permission); it names the file and the space that is left.
    """
    temporary = path.with_name(f".{path.name}.{socket.gethostname()}-{os.getpid()}.tmp")
    try:
        yield temporary
        with writing(path):
            os.replace(temporary, path)
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Say what could not be written, and how much space there is."""
    try:
        yield
    except OSError as error:
        free = ""
        with suppress(OSError):
            free = f" ({shutil.disk_usage(path.parent).free / 1e9:.3g} GB free there)"
        raise StoreError(
            f"cannot write {path}: {error.strerror or error}{free}; nothing half-written is left"
        ) from error


def remove_leftovers(folder: Path) -> None:
    """Remove temporary files of processes of this machine that were killed; those of others may be at work."""
    for path in folder.glob(".*.tmp"):
        host, _, process = path.name.removesuffix(".tmp").rpartition("-")
        if host.endswith(f".{socket.gethostname()}") and process.isdecimal() and not _alive(int(process)):
            path.unlink(missing_ok=True)


def _alive(process: int) -> bool:
    if process == os.getpid():
        return False  # this process has written and renamed, or removed, all that it began
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:  # somebody else's
        return True
    return True
