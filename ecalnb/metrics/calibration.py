"""Whether scores mean what they say: of events with a probability of 90 %, nine in ten should be electrons.

Scores are logits s, and the probability is 1 / (1 + exp(-s)). A probability belongs to a mixture: a network trained
with both species counting the same gives that of an even mixture. `prior`, the fraction of electrons, says to which
mixture the events are weighted. A cut on the score, and so a rejection, does not depend on calibration; a likelihood
ratio, or a combination with other detectors, does.

References
----------
C. Guo, G. Pleiss, Y. Sun and K. Weinberger, arXiv:1706.04599: temperature scaling and the expected calibration error.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
from iminuit import Minuit
from scipy.special import expit

from ..intervals import FloatArray, clopper_pearson, effective_counts
from ._bins import bin_numbers, check_edges
from .comparison import Weights
from .scores import check_numbers, check_weights

__all__ = ["RELIABILITY_COLUMNS", "CalibrationError", "Temperature", "calibration_error", "fit_temperature"]
__all__ += ["reliability"]

RELIABILITY_COLUMNS = {
    "probability_low": "lower edge of the bin in the predicted probability",
    "probability_high": "upper edge",
    "predicted": "mean predicted probability of the events in the bin",
    "observed": "fraction of electrons among them",
    "low": "lower Clopper-Pearson bound of the fraction",
    "high": "upper bound",
    "n": "events (whatever their weights)",
    "share": "fraction of all events, by weight",
}
"""Columns of the table of a reliability curve, and what they hold."""


class CalibrationError(NamedTuple):
    """Expected calibration error, its error, and what a perfectly calibrated score would show by chance."""

    value: float
    error: float
    chance: float


class Temperature(NamedTuple):
    """Temperature that logits are divided by, its error, and the mean cross-entropy before and after."""

    value: float
    error: float
    loss_before: float
    loss_after: float


class _Events(NamedTuple):
    """Both species together."""

    logits: FloatArray
    target: npt.NDArray[np.bool_]
    weights: FloatArray


def _together(
    scores_signal: npt.ArrayLike, scores_background: npt.ArrayLike, weights: Weights | None, prior: float
) -> _Events:
    """Put both species together, their weights scaled to the mixture."""
    if not 0 < prior < 1:
        raise ValueError(f"prior is {prior}; expected a fraction of electrons strictly between 0 and 1")
    samples, scaled = [], []
    given = weights or (None, None)
    for scores, own, name, share in zip(
        (scores_signal, scores_background), given, ("signal", "background"), (prior, 1 - prior), strict=True
    ):
        sample = check_numbers(scores, f"scores of the {name}").astype(float)
        if not len(sample) or not np.isfinite(sample).all():
            raise ValueError(
                f"the {len(sample)} scores of the {name} are not all finite logits, or none; expected some"
            )
        w = np.ones(len(sample)) if own is None else check_weights(own, name, len(sample))
        samples.append(sample)
        scaled.append(w * share / w.sum())
    target = np.repeat([True, False], [len(sample) for sample in samples])
    return _Events(np.concatenate(samples), target, np.concatenate(scaled))


def _edges(edges: npt.ArrayLike | None) -> FloatArray:
    checked = np.linspace(0, 1, 16) if edges is None else check_edges(edges)
    if checked[0] > 0 or checked[-1] < 1:
        raise ValueError(f"edges are from {checked[0]:g} to {checked[-1]:g}; expected probabilities from 0 to 1")
    return checked


def reliability(
    scores_signal: npt.ArrayLike,
    scores_background: npt.ArrayLike,
    edges: npt.ArrayLike | None = None,
    *,
    prior: float = 0.5,
    weights: Weights | None = None,
    level: float = 0.68,
) -> pd.DataFrame:
    """Fraction of electrons against the predicted probability.

    Parameters
    ----------
    scores_signal, scores_background : array_like, shape (n,) and (m,)
        Logits.
    edges : array_like, optional
        Edges of bins in the probability, from 0 to 1; 15 equal bins unless told. An upper edge belongs to the next bin.
    prior : float
        Fraction of electrons in the mixture.
    weights : tuple of array_like or None, optional
        ``(weights_signal, weights_background)``; either may be None for events of equal weight.
    level : float
        Confidence level of the intervals, Clopper-Pearson with effective counts
        (:func:`ecalnb.intervals.effective_counts`).

    Returns
    -------
    pandas.DataFrame
        A row for each bin that has events, with the columns of `RELIABILITY_COLUMNS`.

    Raises
    ------
    ValueError
        If a sample is empty, a score is not finite, or edges, prior or weights make no sense.
    """
    events, borders = _together(scores_signal, scores_background, weights, prior), _edges(edges)
    probability = expit(events.logits)
    bins = bin_numbers(probability, borders)

    def summed(values: FloatArray) -> FloatArray:
        return np.bincount(bins, values, minlength=len(borders) - 1).astype(float)

    w, signal = events.weights, events.weights * events.target
    total = summed(w)
    k, n = effective_counts(summed(signal), summed(signal**2), total, summed(w**2))
    low, high = clopper_pearson(k, n, level)
    with np.errstate(invalid="ignore"):
        columns = {
            "probability_low": borders[:-1],
            "probability_high": borders[1:],
            "predicted": summed(w * probability) / total,
            "observed": summed(signal) / total,
            "low": low,
            "high": high,
            "n": np.bincount(bins, minlength=len(borders) - 1),
            "share": total / w.sum(),
        }
    return pd.DataFrame(columns)[total > 0].reset_index(drop=True)


def calibration_error(
    scores_signal: npt.ArrayLike,
    scores_background: npt.ArrayLike,
    edges: npt.ArrayLike | None = None,
    *,
    prior: float = 0.5,
    weights: Weights | None = None,
    n_replicas: int = 200,
    seed: int = 1,
) -> CalibrationError:
    """Compute the expected calibration error, the mean distance of observed fraction and predicted probability.

    The mean is over the bins, by weight (Guo et al., eq. 3). Its error is the standard deviation over a bootstrap of
    the events of each species. Fluctuations only ever add to it, so that a perfect score does not have 0: ``chance`` is
    what that would have, from the binomial errors in each bin.

    Parameters
    ----------
    scores_signal, scores_background, edges, prior, weights
        As for `reliability`.
    n_replicas : int
        Number of replicas.
    seed : int
        Seed of the replicas.

    Returns
    -------
    CalibrationError

    Raises
    ------
    ValueError
        As `reliability`.
    """
    events, borders = _together(scores_signal, scores_background, weights, prior), _edges(edges)
    probability = expit(events.logits)
    bins = bin_numbers(probability, borders)
    # The distance times the share of a bin is |sum of w (target - probability)| over the sum of all w.
    pull = events.weights * (events.target - probability)
    value = float(np.abs(np.bincount(bins, pull)).sum())
    variance = np.bincount(bins, events.weights**2 * probability * (1 - probability))
    chance = float(np.sqrt(2 / np.pi * variance).sum())  # the mean size of a normal number is sqrt(2 / pi) of its width
    rng = np.random.default_rng(seed)
    n_signal = int(events.target.sum())
    drawn = []
    for _ in range(n_replicas):
        counts = (
            np.concatenate([rng.multinomial(n, np.full(n, 1 / n)) for n in (n_signal, len(bins) - n_signal)])
            * events.weights
        )
        scale = np.where(events.target, prior / counts[:n_signal].sum(), (1 - prior) / counts[n_signal:].sum())
        drawn.append(np.abs(np.bincount(bins, counts * scale * (events.target - probability))).sum())
    return CalibrationError(value, float(np.std(drawn, ddof=1)), chance)


def fit_temperature(
    scores_signal: npt.ArrayLike,
    scores_background: npt.ArrayLike,
    *,
    prior: float = 0.5,
    weights: Weights | None = None,
) -> Temperature:
    """Temperature T with which the probabilities 1 / (1 + exp(-s / T)) are most likely (Guo et al., section 4.2).

    Fit it on validation events, never on those that it is checked on. Above 1 the scores were too sure of themselves.
    Dividing by it changes no ranking, so it changes no rejection.

    Parameters
    ----------
    scores_signal, scores_background, prior, weights
        As for `reliability`.

    Returns
    -------
    Temperature
        With the error of a weighted maximum-likelihood fit ("sandwich": the Hessian alone would take the sum of the
        weights for the number of events).

    Raises
    ------
    ValueError
        As `reliability`, or if the sign of the logits is right for every event, so that there is no best temperature.
    """
    events = _together(scores_signal, scores_background, weights, prior)
    sign = np.where(events.target, 1.0, -1.0)
    margin = sign * events.logits
    if margin.min() >= 0:
        raise ValueError(f"the sign of the logit is right for all {len(margin)} events; no temperature is the best")

    def loss(log_temperature: float) -> float:
        return float((events.weights * np.logaddexp(0, -margin / np.exp(log_temperature))).sum())

    # Minuit stops at a fraction of what matters statistically, so it gets the sum over the events, not the mean.
    minuit = Minuit(lambda log_temperature: len(margin) * loss(log_temperature), log_temperature=0.0)
    minuit.errordef = Minuit.LIKELIHOOD
    minuit.limits["log_temperature"] = (-7, 7)
    minuit.migrad()
    log_temperature = float(minuit.values["log_temperature"])
    scaled = margin / np.exp(log_temperature)
    wrong = expit(-scaled)
    gradient = events.weights * wrong * scaled
    hessian = (events.weights * (wrong * (1 - wrong) * scaled**2 - wrong * scaled)).sum()
    error = np.sqrt((gradient**2).sum()) / hessian
    value = float(np.exp(log_temperature))
    return Temperature(value, value * float(error), loss(0.0), loss(log_temperature))
