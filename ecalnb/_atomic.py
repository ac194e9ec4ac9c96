"""Files that are there whole or not at all: written under a temporary name, then renamed."""

from __future__ import annotations

import errno
import glob
import json
import os
import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

__all__ = ["remove_leftovers", "replacing", "write_json", "writing"]


@contextmanager
def replacing(path: Path, error: type[Exception] = OSError) -> Iterator[Path]:
    """Temporary name beside ``path`` that becomes ``path`` when the block ends well, and goes away otherwise.

    What a killed process of this machine left of an earlier attempt is removed first.

    Parameters
    ----------
    path : Path
        The file to be.
    error : exception class
        Raised where the file cannot be written (a full disk, no permission), with a sentence.
    """
    remove_leftovers(path.parent, path.name)
    temporary = path.with_name(f".{path.name}.{socket.gethostname()}-{os.getpid()}.tmp")
    try:
        with writing(path, error):
            yield temporary
            os.replace(temporary, path)
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


@contextmanager
def writing(path: Path, error: type[Exception] = OSError) -> Iterator[None]:
    """Say which file could not be written, and how much space there is."""
    try:
        yield
    except error:  # said already
        raise
    except OSError as reason:
        free = ""
        with suppress(OSError):
            full = reason.errno in (None, errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
            free = f" ({shutil.disk_usage(path.parent).free / 1e9:.3g} GB free there)" if full else ""
        text = f"{path} cannot be written: {reason.strerror or reason}{free}; nothing half-written is left"
        raise error(text) from reason


def write_json(path: Path, content: Any, error: type[Exception] = OSError) -> None:
    """Write a JSON file for people to read too, whole; its folder is made."""
    with writing(path, error):
        path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path, error) as temporary:
        temporary.write_text(json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n", "utf-8")


def remove_leftovers(folder: Path, name: str | None = None) -> None:
    """Remove temporary files (for ``name``) of killed processes of this machine; those of others may be at work."""
    for path in folder.glob(f".{'*' if name is None else glob.escape(name)}.*.tmp"):
        host, _, process = path.name.removesuffix(".tmp").rpartition("-")
        if host.endswith(f".{socket.gethostname()}") and process.isdecimal() and not _alive(int(process)):
            path.unlink(missing_ok=True)


def _alive(process: int) -> bool:
    if process == os.getpid():
        return True
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:  # somebody else's
        return True
    return True
