"""Cell energies: from the bytes of a file to checked float32 images in GeV, in one pass."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import numba as nb
import numpy as np
import numpy.typing as npt

__all__ = ["fill", "jit"]


def jit(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile without holding the GIL; keep the machine code on disk where a folder for it can be written."""
    try:
        return nb.njit(nogil=True, cache=True)(function)
    except RuntimeError:  # numba found no such folder: installed read-only, and no home
        return nb.njit(nogil=True)(function)


def fill(
    values: npt.NDArray[np.floating], factor: float, out: npt.NDArray[np.float32], suspect: npt.NDArray[np.bool_]
) -> None:
    """Write ``values * factor`` to ``out``, and mark the events with a cell that is negative or not finite.

    Parameters
    ----------
    values : array of float, shape (n, cells)
        In any byte order.
    factor : float
        Positive.
    out : array of float32, shape (n, cells), contiguous
        Filled.
    suspect : array of bool, shape (n,)
        Filled.
    """
    bits = out.view(np.uint32)
    if values.dtype == np.dtype(">f4") and sys.byteorder == "little" and values.flags.c_contiguous:
        _swap_scale_check(values.view(np.uint32), factor, out, bits, suspect)
    else:
        # A float64 beyond float32 becomes infinite, which the check then sees.
        with np.errstate(over="ignore", invalid="ignore"):
            np.multiply(values, factor, out=out, casting="unsafe", dtype=np.float64)
        _check(bits, suspect)


@jit
def _swap_scale_check(values, factor, out, bits, suspect):  # type: ignore[no-untyped-def]  # pragma: no cover
    for event in range(len(values)):
        for cell in range(values.shape[1]):
            word = values[event, cell]
            bits[event, cell] = (word >> 24) | ((word >> 8) & 0xFF00) | ((word << 8) & 0xFF0000) | (word << 24)
        for cell in range(values.shape[1]):
            out[event, cell] = np.float32(np.float64(out[event, cell]) * factor)
        suspect[event] = _any_bad(bits[event])


@jit
def _check(bits, suspect):  # type: ignore[no-untyped-def]  # pragma: no cover
    for event in range(len(bits)):
        suspect[event] = _any_bad(bits[event])


@nb.njit(inline="always")
def _any_bad(bits):  # type: ignore[no-untyped-def]  # pragma: no cover
    # As unsigned integers, all finite positive floats lie below 0x7f800000; 0x80000000 is -0, which is no offence.
    bad = np.uint32(0)
    for word in bits:
        bad |= np.uint32((word >= np.uint32(0x7F800000)) & (word != np.uint32(0x80000000)))
    return bad != 0
