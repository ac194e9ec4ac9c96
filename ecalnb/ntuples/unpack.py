"""Cell energies: from the bytes of a file to checked float32 images in GeV."""

from __future__ import annotations

import sys

import numpy as np
import numpy.typing as npt

from .._compiled import jit

__all__ = ["fill"]


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
def _swap_scale_check(values, factor, out, bits, suspect):  # type: ignore[no-untyped-def]
    # A few events at a time, which stay in the cache; loops of one statement each, which become SIMD instructions.
    for first in range(0, len(values), 16):
        some = slice(first, first + 16)
        _swap(values[some], bits[some])
        _scale(out[some], factor)
        _check(bits[some], suspect[some])


@jit
def _swap(values, bits):  # type: ignore[no-untyped-def]
    for event in range(len(values)):
        for cell in range(values.shape[1]):
            word = values[event, cell]
            bits[event, cell] = (word >> 24) | ((word >> 8) & 0xFF00) | ((word << 8) & 0xFF0000) | (word << 24)


@jit
def _scale(out, factor):  # type: ignore[no-untyped-def]
    for event in range(len(out)):
        for cell in range(out.shape[1]):
            out[event, cell] = np.float32(np.float64(out[event, cell]) * factor)


@jit
def _check(bits, suspect):  # type: ignore[no-untyped-def]
    # As unsigned integers, all finite positive floats lie below 0x7f800000; 0x80000000 is -0, which is no offence.
    for event in range(len(bits)):
        bad = np.uint32(0)
        for cell in range(bits.shape[1]):
            word = bits[event, cell]
            bad |= np.uint32((word >= np.uint32(0x7F800000)) & (word != np.uint32(0x80000000)))
        suspect[event] = bad != 0
