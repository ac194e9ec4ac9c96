"""Interval statistics: the one home of confidence intervals in the package.

It lies below :mod:`ecalnb.selection` and :mod:`ecalnb.metrics` because cut-flow tables and rejections both need it.
Nothing here knows about calorimeters or data frames.

References
----------
C. J. Clopper and E. S. Pearson, Biometrika 26 (1934) 404: the binomial interval.
E. L. Korn and B. I. Graubard, Survey Methodology 24 (1998) 193: the same with weights, by effective counts.
M. P. Fay, M. A. Proschan and E. Brittain, Biometrics 71 (2015) 146: two exact procedures combined ("melded").
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import special

__all__ = ["check_level", "clopper_pearson", "clopper_pearson_bound", "effective_counts", "melded_bound"]

FloatArray = npt.NDArray[np.float64]


def check_level(level: float, name: str = "level") -> float:
    """Return a confidence level, or say what it should have been.

    Raises
    ------
    ValueError
        If it is not strictly between 0 and 1.
    """
    if not 0 < level < 1:
        raise ValueError(f"{name} is {level!r}; expected a confidence level strictly between 0 and 1, for example 0.68")
    return float(level)


def clopper_pearson(k: npt.ArrayLike, n: npt.ArrayLike, level: float = 0.68) -> tuple[FloatArray, FloatArray]:
    """Central binomial interval of Clopper and Pearson.

    Each side has a probability of at most ``(1 - level) / 2`` of missing the truth, whatever the truth, so the
    coverage is never below ``level``; for few events it is well above.

    Parameters
    ----------
    k, n : array_like
        Events that passed, and events in all. Effective counts (see `effective_counts`) need not be whole numbers.
    level : float
        Confidence level.

    Returns
    -------
    low, high : arrays
        Bounds of the fraction. With ``n = 0`` nothing is known: 0 and 1.

    Raises
    ------
    ValueError
        If a count is negative, not a number, or k is greater than n.
    """
    miss = (1 - check_level(level)) / 2
    return clopper_pearson_bound(k, n, miss, "low"), clopper_pearson_bound(k, n, miss, "high")


def clopper_pearson_bound(k: npt.ArrayLike, n: npt.ArrayLike, miss: npt.ArrayLike, side: str) -> FloatArray:
    """One-sided binomial bound: the truth lies beyond it with a probability of at most ``miss``.

    Parameters
    ----------
    k, n : array_like
        As in `clopper_pearson`.
    miss : array_like
        One minus the one-sided confidence level.
    side : {"low", "high"}
        Which bound.
    """
    k, n, miss = np.broadcast_arrays(*(np.asarray(v, dtype=float) for v in (k, n, miss)))
    bad = ~((k >= 0) & (k <= n) & np.isfinite(n))
    if bad.any():
        first = np.flatnonzero(bad.ravel())[0]
        raise ValueError(f"{k.ravel()[first]:g} of {n.ravel()[first]:g} events is no fraction; expected 0 <= k <= n")
    if side == "low":
        certain = k <= 0
        return np.where(certain, 0.0, special.betaincinv(np.where(certain, 1, k), n - k + 1, miss))
    certain = k >= n
    return np.where(certain, 1.0, special.betaincinv(k + 1, np.where(certain, 1, n - k), 1 - miss))


def effective_counts(
    passed: npt.ArrayLike,
    passed2: npt.ArrayLike,
    total: npt.ArrayLike,
    total2: npt.ArrayLike,
    *,
    capped: bool = True,
) -> tuple[FloatArray, FloatArray]:
    """Return the counts of unweighted events that know a weighted fraction equally well.

    With ``p`` the weighted fraction and ``V`` its variance estimated from the weights, ``n = p (1 - p) / V`` and
    ``k = n p`` (Korn and Graubard 1998). For a small fraction, k is the familiar ``(sum w)^2 / sum w^2`` of the events
    that passed, so heavy survivors count as few. n is at most ``(sum w)^2 / sum w^2`` of all events, which is also what
    stands where nothing or everything passed and V says nothing. Equal weights give back the plain counts.

    Parameters
    ----------
    passed, passed2 : array_like
        Sum of the weights, and of their squares, of the events that passed.
    total, total2 : array_like
        The same of all events.
    capped : bool
        Without the cap, light survivors may count as more than all events do: right where those that pass are light on
        purpose (importance sampling), and too bold where they are light by chance.

    Returns
    -------
    k, n : arrays
        Effective counts; 0 and 0 where there are no weights at all.
    """
    s1, s2, t1, t2 = np.broadcast_arrays(*(np.asarray(v, dtype=float) for v in (passed, passed2, total, total2)))
    with np.errstate(divide="ignore", invalid="ignore"):
        n_all = np.where(t1 > 0, t1**2 / t2, 0.0)
        p = np.where(t1 > 0, np.clip(s1 / t1, 0, 1), 0.0)
        variance = ((1 - p) ** 2 * s2 + p**2 * np.maximum(t2 - s2, 0)) / t1**2
        n = np.where((p > 0) & (p < 1), p * (1 - p) / variance, n_all)
    n = np.minimum(n, n_all) if capped else n
    # Equal weights must give whole numbers back: rounding errors would shift ranks and bounds.
    k = p * n
    n, k = (np.where(abs(v - np.rint(v)) <= 1e-9 * np.maximum(v, 1), np.rint(v), v) for v in (n, k))
    return np.minimum(k, n), n


def melded_bound(
    k: npt.ArrayLike, n: npt.ArrayLike, probability: npt.ArrayLike, miss: npt.ArrayLike, side: str
) -> FloatArray:
    """Clopper-Pearson bound of a fraction whose own definition is uncertain.

    The fraction is that of events above a threshold, and the threshold is known only up to a distribution. The bound is
    the quantile of the Clopper-Pearson confidence distributions for each possible threshold, mixed with the
    probability of that threshold, as in the melded intervals of Fay, Proschan and Brittain (2015).

    Parameters
    ----------
    k, n : array_like, shape (rows, thresholds)
        Events that pass each possible threshold, and events in all.
    probability : array_like, shape (rows, thresholds)
        Probability of each threshold; sums to 1 in each row.
    miss : array_like, shape (rows,)
        One minus the one-sided confidence level.
    side : {"low", "high"}
        Which bound of the fraction.

    Returns
    -------
    array, shape (rows,)
    """
    k, n, probability = np.broadcast_arrays(*(np.asarray(v, dtype=float) for v in (k, n, probability)))
    miss = np.asarray(miss, dtype=float)
    sure = k <= 0 if side == "low" else k >= n
    a = np.where(sure, 1, k if side == "low" else k + 1)
    b = np.where(sure, 1, n - k + 1 if side == "low" else n - k)
    single = clopper_pearson_bound(k, n, miss[:, None], side)
    bottom, top = single.min(axis=1), single.max(axis=1)
    rows = np.arange(len(miss))
    # The bound lies between those for the most and the least favourable threshold; halve that bracket.
    for _ in range(48):
        rows = rows[top[rows] - bottom[rows] > 1e-9 * top[rows]]
        if not len(rows):
            break
        middle = (bottom[rows] + top[rows]) / 2
        below = special.betainc(a[rows], b[rows], middle[:, None])
        if side == "low":
            beyond = (probability[rows] * np.where(sure[rows], 1, below)).sum(axis=1)
            high_enough = beyond > miss[rows]
        else:
            beyond = (probability[rows] * np.where(sure[rows], 1, 1 - below)).sum(axis=1)
            high_enough = beyond <= miss[rows]
        top[rows[high_enough]] = middle[high_enough]
        bottom[rows[~high_enough]] = middle[~high_enough]
    return bottom if side == "low" else top
