"""Loops compiled by numba."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba as nb

__all__ = ["jit"]


def _package_stamp() -> str:
    """Checksum of names, times and sizes of the package's modules."""
    folder = Path(__file__).parent
    facts = [(str(path.relative_to(folder)), path.stat()) for path in sorted(folder.rglob("*.py"))]
    text = repr([(name, stat.st_mtime_ns, stat.st_size) for name, stat in facts])
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


_STAMP = _package_stamp()


def jit(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile without holding the GIL; keep the machine code on disk where a folder for it can be written."""
    try:
        compiled = nb.njit(nogil=True, cache=True)(function)
    except RuntimeError:  # numba found no such folder: installed read-only, and no home
        return nb.njit(nogil=True)(function)
    # Numba takes machine code from disk when the function's own file has not changed, even if that of a function which
    # is compiled into it has. So any change in the package makes it compile anew.
    file = compiled._cache._cache_file
    file._source_stamp = (file._source_stamp, _STAMP)
    return compiled
