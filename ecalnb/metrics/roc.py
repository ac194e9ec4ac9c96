"""Area under the ROC curve, with its interval.

The area is the probability that an electron has a higher score than a proton, ties counted half. It says how well two
samples separate on the whole, and little about the rejection at high efficiency, which the few worst protons decide:
quote it beside :func:`ecalnb.metrics.rejection_curve`, not instead.

References
----------
E. R. DeLong, D. M. DeLong and D. L. Clarke-Pearson, Biometrics 44 (1988) 837: the variance.
X. Sun and W. Xu, IEEE Signal Processing Letters 21 (2014) 1389: the same by ranks, in O(n log n).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.special import expit, logit
from scipy.stats import norm, rankdata

from ..intervals import check_level, clopper_pearson
from .scores import check_numbers

__all__ = ["Auc", "roc_auc"]


class Auc(NamedTuple):
    """Area under the ROC curve and its interval."""

    value: float
    low: float
    high: float


def roc_auc(scores_signal: npt.ArrayLike, scores_background: npt.ArrayLike, level: float = 0.68) -> Auc:
    """Area under the ROC curve with DeLong's interval, taken on the logit scale so that it stays inside 0 to 1.

    Where the samples do not overlap, the variance is 0 and says nothing. There the bound is that of Clopper and Pearson
    for none of as many events as the smaller sample has.

    Parameters
    ----------
    scores_signal, scores_background : array_like, shape (m,) and (n,)
        Scores, higher for electrons.
    level : float
        Confidence level.

    Returns
    -------
    Auc
        Value, and lower and upper bound.

    Raises
    ------
    ValueError
        If a sample has fewer than two scores, or one is NaN.
    """
    check_level(level)
    x, y = (
        check_numbers(scores_signal, "scores of the signal"),
        check_numbers(scores_background, "scores of the background"),
    )
    m, n = len(x), len(y)
    if min(m, n) < 2:
        raise ValueError(f"there are {m} scores of the signal and {n} of the background; expected two or more of each")
    ranks = rankdata(np.concatenate([x, y]))
    # Fraction of the other sample that each event is on the right side of.
    above = (ranks[:m] - rankdata(x)) / n
    below = 1 - (ranks[m:] - rankdata(y)) / m
    value = float(above.mean())
    error = float(np.sqrt(above.var(ddof=1) / m + below.var(ddof=1) / n))
    if error == 0 or value in (0.0, 1.0):
        bound = float(clopper_pearson(0, min(m, n), level)[1])
        return Auc(value, max(0.0, value - bound), min(1.0, value + bound))
    width = float(norm.ppf((1 + level) / 2)) * error / (value * (1 - value))
    return Auc(value, float(expit(logit(value) - width)), float(expit(logit(value) + width)))
