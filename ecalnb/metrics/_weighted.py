"""Quantiles of weighted events."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ..intervals import FloatArray

__all__ = ["quantiles_of_sorted"]


def quantiles_of_sorted(values: FloatArray, weights: FloatArray, fractions: npt.ArrayLike) -> FloatArray:
    """Quantiles of events in rising order, linear between them.

    An event lies in the middle of its weight, the first at the fraction 0 and the last at 1, so that equal weights give
    the quantiles of :func:`numpy.quantile`.

    Parameters
    ----------
    values, weights : array, shape (n,)
        Sorted values, and their weights, of which some are positive.
    fractions : array_like
        From 0 to 1.
    """
    some = weights > 0
    v, w = values[some], weights[some]
    middle = np.cumsum(w) - (w + w[0]) / 2
    if middle[-1] <= 0:  # a single event
        return np.full(np.shape(fractions), v[-1])
    return np.interp(np.asarray(fractions, dtype=float) * middle[-1], middle, v)
