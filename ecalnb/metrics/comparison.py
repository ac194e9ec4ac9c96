"""Which of two classifiers rejects more, judged on the same events.

Rejections of models that judged the same events are correlated: protons that look like electrons do so to every model.
The factor between two of them is therefore known better, or worse, than their two error bars say. A paired bootstrap
(B. Efron and R. Tibshirani, An Introduction to the Bootstrap, 1993) draws events, not scores: each replica has its own
electrons, which set every model's threshold, and its own protons, and gives one factor. It is the Bayesian bootstrap
(D. Rubin, Annals of Statistics 9 (1981) 130): events are not drawn but get weights from an exponential distribution, so
that k protons that pass make a gamma distribution of order k, as in an exact interval, and never none.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import pandas as pd

from .._compiled import jit
from ..intervals import FloatArray, check_level
from .scores import ROUNDING, SortedScores, check_numbers, check_weights

__all__ = ["FACTOR_COLUMNS", "passed_in_replicas", "rejection_factors"]

Name = TypeVar("Name", bound=Hashable)
Weights = tuple[npt.ArrayLike | None, npt.ArrayLike | None]

FACTOR_COLUMNS = {
    "model": "the model that the reference is compared with",
    "factor": "rejection of the reference over that of the model; NaN where no proton passes either, inf where none "
    "passes the reference",
    "low": "lower bound of the factor",
    "high": "upper bound of the factor; inf where no proton may pass the reference",
    "only_reference": "protons that pass the reference alone",
    "only_model": "protons that pass the model alone",
    "both": "protons that pass both",
}
"""Columns of the table of factors, and what they hold."""

_CHUNK = 10_000_000  # drawn numbers held at once


def rejection_factors(
    scores_signal: Mapping[Name, npt.ArrayLike],
    scores_background: Mapping[Name, npt.ArrayLike],
    reference: Name,
    efficiency: float = 0.90,
    *,
    weights: Weights | None = None,
    level: float = 0.68,
    n_replicas: int = 1000,
    seed: int = 1,
) -> pd.DataFrame:
    """Factors by which one model rejects more protons than the others, with intervals of a paired bootstrap.

    Parameters
    ----------
    scores_signal, scores_background : mapping of name to array_like, shape (n,) and (m,)
        Scores of each model, higher for electrons, of the same electrons and the same protons in the same order.
    reference : name
        The model that the others are compared with.
    efficiency : float
        Electron efficiency, set for each model in each replica.
    weights : tuple of array_like or None, optional
        ``(weights_signal, weights_background)``, shapes (n,) and (m,); either may be None for events of equal weight.
    level : float
        Confidence level of the intervals, central quantiles of the replicas.
    n_replicas : int
        Number of replicas.
    seed : int
        Seed of the replicas.

    Returns
    -------
    pandas.DataFrame
        A row for each of the other models with the columns of `FACTOR_COLUMNS`. As in Clopper and Pearson's interval
        one more proton, of the effective weight, is added to those that pass the reference for the lower bound, and to
        those that pass the model for the upper one: with few protons the intervals are too wide rather than too
        narrow. Where none passes the reference, the factor is a lower limit; where none passes the model, an upper one.

    Raises
    ------
    ValueError
        If a model lacks scores of one species, lengths differ, or a number makes no sense.
    """
    if scores_signal.keys() != scores_background.keys() or reference not in scores_signal:
        raise ValueError(
            f"models are {', '.join(map(str, scores_signal))} for the signal and "
            f"{', '.join(map(str, scores_background))} for the background; expected the same, with {reference}"
        )
    if not 0 < efficiency <= 1:
        raise ValueError(f"efficiency is {efficiency}; expected a number above 0 and up to 1")
    if n_replicas < 100:
        raise ValueError(f"n_replicas is {n_replicas}; expected 100 or more")
    level = check_level(level)
    signal = _matrix(scores_signal, "signal")
    background = _matrix(scores_background, "background")
    w_signal, w_background = weights or (None, None)
    v = _weights(w_signal, signal.shape[1], "signal")
    w = _weights(w_background, background.shape[1], "background")
    names = list(scores_signal)
    thresholds = np.array([float(SortedScores(row, "signal", v).threshold(efficiency)) for row in signal])
    passes = background >= thresholds[:, None]
    rng = np.random.default_rng(seed)
    passed = passed_in_replicas(signal, background, v, w, efficiency, n_replicas, rng)
    first = names.index(reference)
    more = rng.exponential((w**2).sum() / w.sum(), n_replicas)
    rows = []
    for index, name in enumerate(names):
        if index == first:
            continue
        ours, theirs = float(w[passes[first]].sum()), float(w[passes[index]].sum())
        factor = theirs / ours if ours else (np.inf if theirs else np.nan)
        low = float(np.quantile(passed[:, index] / (passed[:, first] + more), (1 - level) / 2))
        high = float(np.quantile((passed[:, index] + more) / passed[:, first], (1 + level) / 2)) if ours else np.inf
        counts = [passes[first] & ~passes[index], passes[index] & ~passes[first], passes[first] & passes[index]]
        rows.append([name, factor, low, high, *(int(chosen.sum()) for chosen in counts)])
    return pd.DataFrame(rows, columns=list(FACTOR_COLUMNS))


def _weights(weights: npt.ArrayLike | None, length: int, name: str) -> FloatArray:
    return np.ones(length) if weights is None else check_weights(weights, name, length)


def _matrix(scores: Mapping[Name, npt.ArrayLike], name: str) -> FloatArray:
    """Scores of all models, (models, events)."""
    rows = [check_numbers(values, f"scores of {model} for the {name}") for model, values in scores.items()]
    if len({len(row) for row in rows}) != 1 or not len(rows[0]):
        raise ValueError(f"models have scores of {sorted({len(row) for row in rows})} {name} events; expected the same")
    return np.array(rows, dtype=float)


def passed_in_replicas(
    signal: FloatArray,
    background: FloatArray,
    weights_signal: FloatArray,
    weights_background: FloatArray,
    efficiency: float,
    n_replicas: int,
    rng: np.random.Generator,
) -> FloatArray:
    """Draw replicas of both samples, by weights of their events, and count the protons that pass each model.

    Parameters
    ----------
    signal, background : array, shape (models, n) and (models, m)
        Scores of the same electrons and of the same protons.
    weights_signal, weights_background : array, shape (n,) and (m,)
        Weights of the events.
    efficiency : float
        Electron efficiency, set for each model in each replica.
    n_replicas : int
        Number of replicas.
    rng : numpy.random.Generator
        Draws them.

    Returns
    -------
    array, shape (n_replicas, models)
        Sum of the weights of the protons that pass.
    """
    n, m = signal.shape[1], background.shape[1]
    rising, order = np.argsort(signal, axis=1), np.argsort(-background, axis=1)
    passed = np.empty((n_replicas, len(signal)))
    step = max(1, _CHUNK // (n + m))
    for start in range(0, n_replicas, step):
        size = min(step, n_replicas - start)
        electrons = rng.exponential(size=(size, n)) * weights_signal
        protons = rng.exponential(size=(size, m)) * weights_background
        spare = electrons.sum(axis=1) * (1 - efficiency * (1 - ROUNDING))
        _count(signal, background, rising, order, electrons, protons, spare, passed[start : start + size])
    return passed


@jit
def _count(
    signal: FloatArray,
    background: FloatArray,
    rising: npt.NDArray[np.intp],
    order: npt.NDArray[np.intp],
    electrons: FloatArray,
    protons: FloatArray,
    spare: FloatArray,
    passed: FloatArray,
) -> None:  # pragma: no cover - compiled
    """Fill in the protons that pass: electrons from the lowest score up may fail as long as `spare` allows."""
    for replica in range(len(electrons)):
        for model in range(len(signal)):
            last = rising[model, 0]
            failed = 0.0
            for event in rising[model]:
                last = event
                failed += electrons[replica, event]
                if failed > spare[replica]:
                    break
            threshold = signal[model, last]
            total = 0.0
            for event in order[model]:
                if background[model, event] < threshold:
                    break
                total += protons[replica, event]
            passed[replica, model] = total
