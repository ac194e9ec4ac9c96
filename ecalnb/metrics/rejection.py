"""Proton rejection against electron efficiency.

The rejection at an electron efficiency is the number of protons over the number of protons misidentified as electrons,
``R = N_protons / N_passed`` ("A Comparison of Deep Learning Models for Proton Background Rejection with the
AMS Electromagnetic Calorimeter", eq. 1). An event passes where ``score >= threshold``.

Threshold
    For an efficiency e it is the highest t with which at least ``e N`` of the N electrons pass. Where scores are equal
    all of them pass, electrons and protons alike, so that the efficiency achieved can be higher than asked for; it has
    a column of its own.
Interval ``low``, ``high``
    Of the rejection at the threshold that was used: the central Clopper-Pearson interval of ``N_passed / N_protons``,
    inverted. The threshold is taken as given, as when one quotes a fixed cut together with its measured efficiency.
Interval ``low_total``, ``high_total``
    Of the rejection at the true efficiency asked for. The electrons are a sample too, so the true threshold lies
    somewhere else; it is an order statistic, and the binomial distribution of its rank is known without any assumption
    on the scores. The Clopper-Pearson distributions for all the thresholds that it may be are mixed ("melded", Fay,
    Proschan and Brittain 2015). At an efficiency of 100 % no finite sample bounds the threshold from below, so
    ``low_total`` is 1 there.
Limits
    Where no proton passes, the rejection is infinite, ``is_limit`` is true, ``high`` is infinite and ``low`` is a
    one-sided lower limit at ``limit_level`` (90 %: ``N_protons / 2.30`` for many protons), because that is how a limit
    is quoted and read. The two-sided interval would put only its upper tail there (84 % for a 68 % interval), so the
    limit is the more cautious of the two, and the coverage of the whole recipe stays at or above ``level``.
    ``limit_level`` is raised to that upper tail where it is below. The level used stands in the column ``level``.
Weights
    The rejection is that of sums of weights; the intervals use effective counts
    (:func:`ecalnb.intervals.effective_counts`), of protons and of the electrons that set the threshold. They are then
    approximate: where fewer than about five weighted protons are left and weights differ much, the coverage is not
    guaranteed.

Rows of one curve share their protons: they are strongly correlated.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.stats import binom

from ..intervals import FloatArray, check_level, clopper_pearson, clopper_pearson_bound, melded_bound
from .scores import SortedScores, check_numbers, threshold_distribution

__all__ = ["REJECTION_COLUMNS", "Weights", "check_efficiencies", "check_pair", "rejection_curve", "rejections_at"]

Weights = tuple[npt.ArrayLike | None, npt.ArrayLike | None]

REJECTION_COLUMNS = {
    "efficiency": "electron efficiency asked for",
    "efficiency_achieved": "fraction of the electrons with score >= threshold",
    "efficiency_low": "lower Clopper-Pearson bound of the efficiency achieved",
    "efficiency_high": "upper Clopper-Pearson bound of the efficiency achieved",
    "threshold": "events with score >= threshold pass",
    "threshold_low": "lower bound of the true threshold (order statistic); -inf where the electrons set none",
    "threshold_high": "upper bound of the true threshold; inf where the electrons set none",
    "n_signal": "electrons",
    "n_background": "protons",
    "n_passed": "protons with score >= threshold (events, whatever their weights)",
    "n_effective": "effective number of protons behind the interval; n_background without weights",
    "rejection": "protons over protons passed (sums of weights); inf where none passed",
    "low": "lower bound of the rejection at this threshold; a one-sided limit where is_limit",
    "high": "upper bound of the rejection at this threshold; inf where is_limit",
    "is_limit": "no proton passed",
    "level": "confidence level of the bounds; one-sided where is_limit",
    "low_total": "lower bound with the uncertainty of the threshold included",
    "high_total": "upper bound with the uncertainty of the threshold included",
    "rejection_threshold_low": "rejection with the threshold at threshold_low",
    "rejection_threshold_high": "rejection with the threshold at threshold_high",
}
"""Columns of a table of rejections, and what they hold."""


def rejection_curve(
    scores_signal: npt.ArrayLike,
    scores_background: npt.ArrayLike,
    efficiencies: npt.ArrayLike | None = None,
    weights: Weights | None = None,
    level: float = 0.68,
    *,
    limit_level: float = 0.90,
) -> pd.DataFrame:
    """Proton rejection against electron efficiency, with intervals.

    Definitions and references are in :mod:`ecalnb.metrics.rejection`. Ten million scores take about a second.

    Parameters
    ----------
    scores_signal, scores_background : array_like, shape (n,) and (m,)
        Scores of electrons and protons, higher for electrons. Logits rather than probabilities, which saturate.
    efficiencies : array_like, optional
        Electron efficiencies above 0 and up to 1; 1 % to 100 % in steps of 1 % unless told, as in the paper.
    weights : tuple of array_like or None, optional
        ``(weights_signal, weights_background)``; either may be None for events of equal weight.
    level : float
        Confidence level of the central intervals.
    limit_level : float
        Confidence level of the one-sided lower limit where no proton passes.

    Returns
    -------
    pandas.DataFrame
        A row for each efficiency, in the order given, with the columns of `REJECTION_COLUMNS`.

    Raises
    ------
    ValueError
        If a sample is empty, a score is NaN, an efficiency is outside (0, 1], or weights do not go with the scores.

    Examples
    --------
    >>> curve = rejection_curve([0.9, 0.8, 0.7, 0.2], [0.75, 0.1, 0.0, 0.0], [0.5, 0.75])
    >>> curve[["efficiency", "threshold", "n_passed", "rejection", "is_limit"]]
       efficiency  threshold  n_passed  rejection  is_limit
    0        0.50        0.8         0        inf      True
    1        0.75        0.7         1        4.0     False
    """
    wanted = check_efficiencies(np.arange(1, 101) / 100 if efficiencies is None else efficiencies)
    weights_signal, weights_background = check_pair(weights)
    signal = SortedScores(scores_signal, "signal", weights_signal)
    background = SortedScores(scores_background, "background", weights_background)
    return rejections_at(wanted, signal, signal, background, level, limit_level)


def rejections_at(
    wanted: FloatArray,
    reference: SortedScores,
    signal: SortedScores,
    background: SortedScores,
    level: float,
    limit_level: float,
) -> pd.DataFrame:
    """Rejections of ``background`` at the thresholds that ``reference`` sets; achieved efficiencies of ``signal``."""
    miss = (1 - check_level(level)) / 2
    miss_limit = min(1 - check_level(limit_level, "limit_level"), miss)
    threshold = reference.threshold(wanted)
    _, k_signal, n_signal = signal.above(threshold)
    number, k, n = background.above(threshold)
    is_limit = k <= 0
    miss_low = np.where(is_limit, miss_limit, miss)

    # With weights, the events that decide are those about the threshold: their effective number, rounded down.
    n_reference = np.maximum(np.floor(reference.above(threshold)[2]), 1)
    threshold_low = reference.threshold((binom.ppf(1 - miss, n_reference, wanted) + 1) / n_reference)
    threshold_high = reference.threshold(binom.ppf(miss, n_reference, wanted) / n_reference)
    loose, tight, probability = threshold_distribution(wanted, n_reference)
    low_total = melded_bound(*background.above(reference.threshold(loose))[1:], probability, miss_low, "high")
    high_total = melded_bound(
        *background.above(reference.threshold(tight))[1:], probability, np.full(len(k), miss), "low"
    )
    low = clopper_pearson_bound(k, n, miss_low, "high")
    high = clopper_pearson_bound(k, n, miss, "low")
    efficiency_low, efficiency_high = clopper_pearson(k_signal, n_signal, level)
    with np.errstate(divide="ignore"):
        columns = {
            "efficiency": wanted,
            "efficiency_achieved": k_signal / n_signal,
            "efficiency_low": efficiency_low,
            "efficiency_high": efficiency_high,
            "threshold": threshold,
            "threshold_low": threshold_low,
            "threshold_high": np.where(np.isnan(threshold_high), np.inf, threshold_high),
            "n_signal": len(signal),
            "n_background": len(background),
            "n_passed": number,
            "n_effective": n,
            "rejection": n / k,
            "low": 1 / low,
            "high": 1 / high,
            "is_limit": is_limit,
            "level": 1 - np.where(is_limit, miss_limit, 2 * miss),
            # One more source of uncertainty never makes the interval narrower.
            "low_total": 1 / np.maximum(low, low_total),
            "high_total": 1 / np.minimum(high, high_total),
            "rejection_threshold_low": _rejection(background, threshold_low),
            "rejection_threshold_high": _rejection(background, threshold_high),
        }
    return pd.DataFrame(columns)


def _rejection(background: SortedScores, thresholds: FloatArray) -> FloatArray:
    _, k, n = background.above(thresholds)
    return n / k


def check_efficiencies(efficiencies: npt.ArrayLike) -> FloatArray:
    """Return electron efficiencies as an array, or raise `ValueError`: they are above 0 and up to 1."""
    values = check_numbers(np.atleast_1d(np.asarray(efficiencies)), "efficiencies").astype(float)
    if not len(values):
        raise ValueError("there are no efficiencies; expected at least one electron efficiency above 0 and up to 1")
    if (outside := (values <= 0) | (values > 1)).any():
        raise ValueError(
            f"efficiency {values[outside][0]:g} is no electron efficiency; expected one above 0 and up to 1 "
            "(0.9, not 90, for 90 %)"
        )
    return values


def check_pair(weights: Weights | None) -> Weights:
    """Return the weights of both species, or raise `ValueError` if they are not a pair."""
    if weights is None:
        return None, None
    if not isinstance(weights, (tuple, list)) or len(weights) != 2:
        raise ValueError(
            f"weights are a {type(weights).__name__}; expected the pair (weights_signal, weights_background), "
            "either of which may be None"
        )
    return weights[0], weights[1]
