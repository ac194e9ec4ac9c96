"""Sorted scores of one species: thresholds by efficiency, and events above a threshold, exact for ties."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.stats import binom

from ..intervals import FloatArray, effective_counts

__all__ = ["SortedScores", "check_numbers", "check_weights", "threshold_distribution"]

# An efficiency of 0.07 of 100 events is 7 events, although 0.07 * 100 > 7 in floating point.
ROUNDING = 1e-12

# Most groups of `threshold_distribution`.
_MOST_GROUPS = 64


def check_numbers(values: npt.ArrayLike, name: str, length: int | None = None) -> npt.NDArray[np.floating]:
    """Return a flat array of floating-point numbers without NaN, or say in one sentence what is wrong.

    Parameters
    ----------
    values : array_like, shape (n,)
        Numbers; float32 stays float32.
    name : str
        What they are, for the message.
    length : int, optional
        Number of values that there must be.

    Raises
    ------
    ValueError
        If they are not numbers, not one-dimensional, not of the length, or hold NaN.
    """
    array = np.asarray(values)
    if array.dtype.kind not in "fiub":
        raise ValueError(f"{name} hold {array.dtype} values; expected numbers")
    if array.ndim != 1:
        raise ValueError(f"{name} have shape {array.shape}; expected one number an event, shape (n,)")
    if length is not None and len(array) != length:
        raise ValueError(f"{name} hold {len(array)} numbers; expected {length}, one for each event")
    if array.dtype != np.float32:
        array = array.astype(np.float64, copy=False)
    if n_nan := np.count_nonzero(np.isnan(array)):
        first = np.flatnonzero(np.isnan(array))[0]
        raise ValueError(
            f"{n_nan} of {len(array)} {name} are NaN, the first at position {first}; expected numbers only"
        )
    return array


def check_weights(weights: npt.ArrayLike, name: str, length: int) -> FloatArray:
    """Return the weights of the events of a sample, or say in one sentence what is wrong with them.

    Raises
    ------
    ValueError
        If they are not `length` finite numbers, one is negative, or all are zero.
    """
    w = check_numbers(weights, f"weights of the {name}", length).astype(float)
    if not np.isfinite(w).all() or w.min() < 0:
        wrong = w[~np.isfinite(w) | (w < 0)][0]
        raise ValueError(f"a weight of the {name} is {wrong:g}; expected finite weights that are not negative")
    if not w.any():
        raise ValueError(f"all weights of the {name} are zero; expected at least one positive weight")
    return w


class SortedScores:
    """Scores of one species in rising order, with the weights summed from the top.

    Parameters
    ----------
    scores : array_like, shape (n,)
        Higher is more like the signal. Infinite scores are allowed, NaN is not.
    name : str
        What they are, for messages.
    weights : array_like, shape (n,), optional
        Not negative.

    Raises
    ------
    ValueError
        If there are no scores, or a score or weight is no good.
    """

    def __init__(self, scores: npt.ArrayLike, name: str, weights: npt.ArrayLike | None = None) -> None:
        values = check_numbers(scores, f"scores of the {name}")
        if not len(values):
            raise ValueError(f"there are no scores of the {name}; expected at least one event")
        self.weighted = weights is not None
        if weights is None:
            self.scores = np.sort(values)
            self.total, self.total2 = float(len(values)), float(len(values))
        else:
            w = check_weights(weights, name, len(values))
            order = np.argsort(values)
            self.scores = values[order]
            # Sums over all events from position i to the top; the last entry, 0, is that of no event.
            self._above = np.append(np.cumsum(w[order][::-1])[::-1], 0.0)
            self._above2 = np.append(np.cumsum(w[order][::-1] ** 2)[::-1], 0.0)
            self.total, self.total2 = float(self._above[0]), float(self._above2[0])

    def __len__(self) -> int:
        return len(self.scores)

    def threshold(self, fraction: npt.ArrayLike) -> FloatArray:
        """Highest t for which at least ``fraction`` of the events has a score >= t.

        -inf for a fraction above 1, which no threshold reaches; NaN, which no score reaches, for a fraction of 0.
        """
        fraction = np.asarray(fraction, dtype=float)
        wanted = fraction * self.total * (1 - ROUNDING)
        n = len(self)
        if self.weighted:
            # `_above` falls with the position: the highest position whose sum still reaches what is wanted.
            position = n - np.searchsorted(self._above[::-1], wanted, side="left")
        else:
            position = n - np.ceil(np.clip(wanted, 0, n + 1)).astype(np.intp)
        threshold = self.scores[np.clip(position, 0, n - 1)].astype(float)
        return np.where(fraction > 1 + ROUNDING, -np.inf, np.where(fraction <= 0, np.nan, threshold))

    def above(self, thresholds: npt.ArrayLike) -> tuple[npt.NDArray[np.intp], FloatArray, FloatArray]:
        """Events with score >= each threshold: their number, and effective counts (k, n).

        NaN stands for a threshold above all scores, infinite ones too: no event.
        """
        thresholds = np.asarray(thresholds, dtype=float)
        # In the type of the scores the search needs no copy of them; only where no threshold changes by it.
        narrow = thresholds.astype(self.scores.dtype)
        exact = bool(((narrow == thresholds) | np.isnan(thresholds)).all())
        position = np.searchsorted(self.scores, narrow if exact else thresholds, side="left")
        number = len(self) - position
        if not self.weighted:
            return number, number.astype(float), np.full(number.shape, float(len(self)))
        k, n = effective_counts(self._above[position], self._above2[position], self.total, self.total2)
        return number, k, n


def threshold_distribution(efficiencies: FloatArray, n_events: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Where the true threshold may lie among the sorted events that define it.

    Of n signal events the number above the true threshold for an efficiency is binomial, whatever the shape of the
    distribution: the true threshold lies between the B-th and the (B + 1)-th highest score with the probability of B.
    Many values of B are taken together in groups, each group with its outermost scores, so that grouping can widen an
    interval but not narrow it.

    Parameters
    ----------
    efficiencies : array, shape (rows,)
        Signal efficiencies.
    n_events : array, shape (rows,)
        (Effective) number of signal events, whole numbers.

    Returns
    -------
    loose, tight, probability : arrays, shape (rows, points)
        Fraction of the signal above the lower and above the upper end of each group, and its probability.
    """
    n = n_events[:, None]
    first, last = (binom.ppf(q, n_events, efficiencies) for q in (1e-7, 1 - 1e-7))
    points = int(min(_MOST_GROUPS, np.max(last - first) + 1))
    # Rows with fewer values of B than points get empty groups, of no probability.
    steps = np.arange(points + 1) / points
    ends = first[:, None] - 1 + np.round(steps * (last - first + 1)[:, None])
    cumulative = binom.cdf(ends, n, efficiencies[:, None])
    cumulative[:, 0], cumulative[:, -1] = 0, 1
    return (ends[:, 1:] + 1) / n, (ends[:, :-1] + 1) / n, np.diff(cumulative, axis=1)
