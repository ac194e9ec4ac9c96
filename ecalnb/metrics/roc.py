"""Area under the ROC curve, with its interval.

The area is the probability that an electron has a higher score than a proton, ties counted half. It says how well two
samples separate on the whole, and little about the rejection at high efficiency, which the few worst protons decide:
quote it beside :func:`ecalnb.metrics.rejection_curve`, not instead.

References
----------
E. R. DeLong, D. M. DeLong and D. L. Clarke-Pearson, Biometrics 44 (1988) 837: the variance.
X. Sun and W. Xu, IEEE Signal Processing Letters 21 (2014) 1389: the same by ranks, in O(n log n).

With weights, ranks are sums of weights, and the variance of each mean is that of a weighted mean with
``n = (sum w)^2 / sum w^2`` effective events; equal weights give back DeLong's.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.special import expit, logit
from scipy.stats import norm

from ..intervals import FloatArray, check_level, clopper_pearson
from .scores import check_numbers, check_weights

__all__ = ["Auc", "roc_auc"]


class Auc(NamedTuple):
    """Area under the ROC curve and its interval."""

    value: float
    low: float
    high: float


def roc_auc(
    scores_signal: npt.ArrayLike,
    scores_background: npt.ArrayLike,
    level: float = 0.68,
    *,
    weights: tuple[npt.ArrayLike | None, npt.ArrayLike | None] | None = None,
) -> Auc:
    """Area under the ROC curve with DeLong's interval, taken on the logit scale so that it stays inside 0 to 1.

    Where the samples do not overlap, the variance is 0 and says nothing. There the bound is that of Clopper and Pearson
    for none of as many events as the smaller sample has.

    Parameters
    ----------
    scores_signal, scores_background : array_like, shape (m,) and (n,)
        Scores, higher for electrons.
    level : float
        Confidence level.
    weights : tuple of array_like or None, optional
        ``(weights_signal, weights_background)``; either may be None for events of equal weight.

    Returns
    -------
    Auc
        Value, and lower and upper bound.

    Raises
    ------
    ValueError
        If a sample has fewer than two scores, one is NaN, or weights do not go with the scores.
    """
    check_level(level)
    x, y = (
        check_numbers(scores_signal, "scores of the signal"),
        check_numbers(scores_background, "scores of the background"),
    )
    if min(len(x), len(y)) < 2:
        raise ValueError(
            f"there are {len(x)} scores of the signal and {len(y)} of the background; expected two or more of each"
        )
    v, w = (
        np.ones(len(scores)) if own is None else check_weights(own, name, len(scores))
        for scores, own, name in zip((x, y), weights or (None, None), ("signal", "background"), strict=True)
    )
    # Fraction of the other sample that each event is on the right side of.
    above, below = _fraction_below(x, y, w), 1 - _fraction_below(y, x, v)
    value = float(np.average(above, weights=v))
    error = float(np.sqrt(_variance_of_mean(above, v) + _variance_of_mean(below, w)))
    if error == 0 or value in (0.0, 1.0):
        smaller = min(own.sum() ** 2 / (own**2).sum() for own in (v, w))
        bound = float(clopper_pearson(0, smaller, level)[1])
        return Auc(value, max(0.0, value - bound), min(1.0, value + bound))
    width = float(norm.ppf((1 + level) / 2)) * error / (value * (1 - value))
    return Auc(value, float(expit(logit(value) - width)), float(expit(logit(value) + width)))


def _fraction_below(
    scores: npt.NDArray[np.floating], others: npt.NDArray[np.floating], weights: FloatArray
) -> FloatArray:
    """Weighted fraction of the other sample below each score, ties counted half."""
    order = np.argsort(others)
    summed = np.append(0.0, np.cumsum(weights[order]))
    left, right = (np.searchsorted(others[order], scores, side) for side in ("left", "right"))
    return (summed[left] + summed[right]) / (2 * summed[-1])


def _variance_of_mean(values: FloatArray, weights: FloatArray) -> float:
    """Variance of a weighted mean."""
    effective = weights.sum() ** 2 / (weights**2).sum()
    residual = weights * (values - np.average(values, weights=weights))
    return float((residual**2).sum() / weights.sum() ** 2 * effective / max(effective - 1, 1))
