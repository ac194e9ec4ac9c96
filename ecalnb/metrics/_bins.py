"""Bins of energy that every metric uses: their edges, and the bin that an event is in."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ..intervals import FloatArray
from .scores import check_numbers

__all__ = ["bin_numbers", "check_edges"]


def check_edges(edges: npt.ArrayLike) -> FloatArray:
    """Return the edges of bins, or say what they should have been.

    Raises
    ------
    ValueError
        If there are fewer than two, or they do not rise.
    """
    checked = check_numbers(edges, "edges of the bins").astype(float)
    if len(checked) < 2 or not (np.diff(checked) > 0).all():
        raise ValueError(f"edges of the bins are {checked.tolist()}; expected two or more rising numbers")
    return checked


def bin_numbers(values: npt.NDArray[np.floating], edges: FloatArray) -> npt.NDArray[np.intp]:
    """Bin of each value, -1 outside. An upper edge belongs to the next bin, and to the last bin itself."""
    bins = np.searchsorted(edges, values, side="right") - 1
    bins[values == edges[-1]] = len(edges) - 2
    bins[bins > len(edges) - 2] = -1
    return bins
