"""Distance correlation: how much two quantities depend on each other, whatever the form of the dependence.

With ``a_ij = |x_i - x_j|``, ``b_ij = |y_i - y_j|`` and averages over events that are all different, the squared
distance covariance is

``V2(x, y) = <a_ij b_ij> - 2 <a_ij b_ik> + <a_ij> <b_kl>``,

and the squared distance correlation ``R2 = V2(x, y) / sqrt(V2(x, x) V2(y, y))``: 1 for a straight line, and 0 only
for independent quantities (G. Székely, M. Rizzo and N. Bakirov, Annals of Statistics 35 (2007) 2769, sec. 2). With
averages over different events V2 has no bias, which their own estimate has, and can come out below 0 (G. Székely and
M. Rizzo, Annals of Statistics 42 (2014) 2382, eq. 3.2; as a U-statistic: X. Huo and G. Székely, Technometrics 58 (2016)
435, theorem 3.1). An event of weight w counts like w events: each average is weighted with the product of the weights.

The sums take n log n steps, after Huo and Székely: the events are gone through in the order of x, with sums over those
before, and of a lower y, kept in a binary indexed tree.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from .._compiled import jit
from ..intervals import FloatArray
from .scores import check_numbers, check_weights

__all__ = ["DistanceCorrelation", "distance_correlation"]

_FEWEST = 10


class DistanceCorrelation(NamedTuple):
    """Squared distance correlation without bias, and its standard error."""

    squared: float
    error: float


def distance_correlation(
    x: npt.ArrayLike,
    y: npt.ArrayLike,
    weights: npt.ArrayLike | None = None,
    *,
    ranks: bool = False,
    n_replicas: int = 100,
    max_events: int = 20_000,
    seed: int = 1,
) -> DistanceCorrelation:
    """Squared distance correlation of two quantities, with the error of a bootstrap.

    Parameters
    ----------
    x, y : array_like, shape (n,)
        The quantities, such as scores and the logarithms of energies of one species.
    weights : array_like, shape (n,), optional
        Weights of the events.
    ranks : bool
        Put (weighted) ranks in place of both, so that no change of their scales matters: for scores of different
        models, which may be logits or probabilities.
    n_replicas : int
        Samples drawn out of the events for the error; 0 for none (NaN). For independent quantities the error is an
        upper bound: there the distribution is not normal, and narrower than that of the replicas.
    max_events : int
        Of more events, so many are drawn.
    seed : int
        Of what is drawn.

    Returns
    -------
    DistanceCorrelation
        The error is NaN without replicas. Values a little below 0 are possible: they say that no dependence is seen.

    Raises
    ------
    ValueError
        If there are fewer than 10 events, lengths differ, a number is not finite, or x or y is the same for all.
    """
    given = check_numbers(x, "values of x").astype(float)
    other = check_numbers(y, "values of y", len(given)).astype(float)
    w = np.ones(len(given)) if weights is None else check_weights(weights, "events", len(given))
    if n_replicas < 0 or 0 < n_replicas < 20:
        raise ValueError(f"n_replicas is {n_replicas}; expected 20 or more for an error, or 0 for none")
    rng = np.random.default_rng(seed)
    if len(given) > max_events:
        chosen = rng.choice(len(given), max_events, replace=False)
        given, other, w = given[chosen], other[chosen], w[chosen]
    given, other, w = (values[w > 0] for values in (given, other, w))
    if len(given) < _FEWEST:
        raise ValueError(f"there are {len(given)} events; expected {_FEWEST} or more for a distance correlation")
    if not (np.isfinite(given).all() and np.isfinite(other).all()) and not ranks:
        raise ValueError("values of x or y are infinite; expected finite ones, or ranks=True")
    columns = [_ranks(values, w) if ranks else values for values in (given, other)]
    if any(column.min() == column.max() for column in columns):
        raise ValueError("values of x or y are all the same; expected some spread")
    # Centred and scaled: differences of large sums keep their digits.
    first, second = ((column - column.mean()) / column.std() for column in columns)
    order = np.argsort(first, kind="stable")
    sorted_x, its_y, own = first[order], second[order], w[order] / w.mean()
    by_y = np.argsort(its_y, kind="stable")

    def value(weight: FloatArray) -> float:
        return float(_squared(sorted_x, its_y, by_y, weight))

    n = len(own)
    drawn = [value(own * np.bincount(rng.integers(0, n, n), minlength=n)) for _ in range(n_replicas)]
    return DistanceCorrelation(value(own), float(np.std(drawn, ddof=1)) if drawn else float("nan"))


def _ranks(values: FloatArray, weights: FloatArray) -> FloatArray:
    """Fraction of the weight below each value, ties counted half."""
    unique, inverse = np.unique(values, return_inverse=True)
    content = np.bincount(inverse, weights, minlength=len(unique))
    return ((np.cumsum(content) - content / 2) / content.sum())[inverse]


@jit
def _row_sums(values, order, weights):  # type: ignore[no-untyped-def]
    """Weighted sum of the distances from each event to all others."""
    total, moment = weights.sum(), (weights * values).sum()
    sums = np.empty(len(values))
    below, below_moment = 0.0, 0.0
    for i in order:
        sums[i] = values[i] * (2 * below - total) + moment - 2 * below_moment
        below += weights[i]
        below_moment += weights[i] * values[i]
    return sums


@jit
def _products(x, y, by_y, weights):  # type: ignore[no-untyped-def]
    """Sum up a_ij b_ij with the weights w_i w_j, w_i w_j^2 and w_i^2 w_j^2, for events in rising order of x."""
    n = len(x)
    position = np.empty(n, np.int64)
    for rank in range(n):
        position[by_y[rank]] = rank + 1
    tree = np.zeros((n + 1, 8))  # sums of w, w x, w y, w x y, and of the same with w^2
    entry, everything, below = np.empty(8), np.zeros(8), np.empty(8)
    pairs, lopsided, squares = 0.0, 0.0, 0.0
    for i in range(n):
        below[:] = 0
        k = position[i]
        while k > 0:
            for m in range(8):
                below[m] += tree[k, m]
            k -= k & -k
        # (x_i - x_j) |y_i - y_j| over the events before: those with a lower y, less those with a higher one.
        for m in range(8):
            entry[m] = 2 * below[m] - everything[m]
        single = x[i] * y[i] * entry[0] - y[i] * entry[1] - x[i] * entry[2] + entry[3]
        double = x[i] * y[i] * entry[4] - y[i] * entry[5] - x[i] * entry[6] + entry[7]
        w = weights[i]
        pairs += 2 * w * single
        lopsided += w * double + w * w * single
        squares += 2 * w * w * double
        for m in range(2):
            factor = w if m == 0 else w * w
            entry[4 * m] = factor
            entry[4 * m + 1] = factor * x[i]
            entry[4 * m + 2] = factor * y[i]
            entry[4 * m + 3] = factor * x[i] * y[i]
        everything += entry
        k = position[i]
        while k <= n:
            for m in range(8):
                tree[k, m] += entry[m]
            k += k & -k
    return pairs, lopsided, squares


@jit
def _covariance(x, y, by_y, weights, rows_x, rows_y):  # type: ignore[no-untyped-def]
    """Squared distance covariance, averages over different events written as sums over all less those that repeat."""
    pairs, lopsided, squares = _products(x, y, by_y, weights)
    w2 = weights * weights
    s1, s2, s3, s4 = weights.sum(), w2.sum(), (w2 * weights).sum(), (w2 * w2).sum()
    triples = (weights * rows_x * rows_y).sum() - lopsided
    shared = (w2 * rows_x * rows_y).sum() - squares
    quadruples = (weights * rows_x).sum() * (weights * rows_y).sum() - 4 * shared - 2 * squares
    return (
        pairs / (s1**2 - s2)
        - 2 * triples / (s1**3 - 3 * s1 * s2 + 2 * s3)
        + quadruples / (s1**4 - 6 * s1**2 * s2 + 8 * s1 * s3 + 3 * s2**2 - 6 * s4)
    )


@jit
def _squared(x, y, by_y, weights):  # type: ignore[no-untyped-def]
    """Squared distance correlation of events in rising order of x; ``by_y`` is their order in y."""
    n = len(x)
    by_x = np.arange(n)
    rows_x, rows_y = _row_sums(x, by_x, weights), _row_sums(y, by_y, weights)
    y_sorted = y[by_y]
    weights_sorted = weights[by_y]
    rows_sorted = rows_y[by_y]
    both = _covariance(x, y, by_y, weights, rows_x, rows_y)
    of_x = _covariance(x, x, by_x, weights, rows_x, rows_x)
    of_y = _covariance(y_sorted, y_sorted, by_x, weights_sorted, rows_sorted, rows_sorted)
    return both / np.sqrt(of_x * of_y)
