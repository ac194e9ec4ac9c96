"""Bins of energy that every metric uses: their edges, and the bin that an event is in."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ..intervals import FloatArray
from .scores import check_numbers

__all__ = ["bin_numbers", "check_edges", "merge_bins"]


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


def merge_bins(edges: npt.ArrayLike, *samples: npt.ArrayLike, min_count: int) -> FloatArray:
    """Merge neighbouring bins until each holds enough events of every sample.

    Bins are closed from the lowest upwards as soon as they have enough; what is left at the top is added to the last.

    Parameters
    ----------
    edges : array_like, shape (bins + 1,)
        Edges of the bins, rising. An upper edge belongs to the next bin, and to the last bin itself.
    *samples : array_like
        Values of the events of each sample, such as the energies of electrons and of protons.
    min_count : int
        Fewest events of each sample in a bin.

    Returns
    -------
    array
        Some of the edges, the first and the last among them; these two alone where no bin has enough.

    Raises
    ------
    ValueError
        If edges do not rise.
    """
    checked = check_edges(edges)
    bins = (bin_numbers(check_numbers(sample, "values to be binned"), checked) for sample in samples)
    counts = np.array([np.bincount(number[number >= 0], minlength=len(checked) - 1) for number in bins])
    kept, held = [0], np.zeros(len(samples), dtype=np.intp)
    for upper, content in enumerate(counts.T, 1):
        held = held + content
        if (held >= min_count).all():
            kept.append(upper)
            held = np.zeros_like(held)
    last = len(checked) - 1
    return checked[[*kept[:-1], last] if len(kept) > 1 else [0, last]]
