"""Loops compiled by numba."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba as nb

__all__ = ["jit"]


def jit(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile without holding the GIL; keep the machine code on disk where a folder for it can be written."""
    try:
        return nb.njit(nogil=True, cache=True)(function)
    except RuntimeError:  # numba found no such folder: installed read-only, and no home
        return nb.njit(nogil=True)(function)
