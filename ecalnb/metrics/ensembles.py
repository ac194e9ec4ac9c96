"""What several trainings of one model are worth together: the mean of their logits."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from ..intervals import check_level
from .comparison import Weights, passed_in_replicas
from .scores import SortedScores, check_numbers, check_weights

__all__ = ["EnsembleGain", "ensemble_gain"]


class EnsembleGain(NamedTuple):
    """Rejection of an ensemble over that of its members, with its interval, and the protons behind it.

    ``passed_members`` is the mean over the members; both are sums of weights where events have some. Where no proton
    passes the ensemble the factor is infinite, and `low` a lower bound.
    """

    factor: float
    low: float
    high: float
    passed_ensemble: float
    passed_members: float


def ensemble_gain(
    scores_signal: Mapping[Hashable, npt.ArrayLike] | pd.DataFrame,
    scores_background: Mapping[Hashable, npt.ArrayLike] | pd.DataFrame,
    members: Sequence[Hashable],
    efficiency: float = 0.90,
    *,
    weights: Weights | None = None,
    level: float = 0.68,
    n_replicas: int = 1000,
    seed: int = 1,
) -> EnsembleGain:
    """Compare an ensemble, the mean of the members' logits, with a member of average misidentified fraction.

    The interval is that of a paired bootstrap of the events (:mod:`ecalnb.metrics.comparison`); the members are taken
    as given.

    Parameters
    ----------
    scores_signal, scores_background : mapping of name to array_like, or DataFrame, shape (n,) and (m,)
        Logits of each member, of the same electrons and the same protons.
    members : sequence of names
        Two or more trainings.
    efficiency : float
        Electron efficiency, set for each member and the ensemble in each replica.
    weights : tuple of array_like or None, optional
        ``(weights_signal, weights_background)``; either may be None for events of equal weight.
    level : float
        Confidence level of the interval.
    n_replicas : int
        Number of replicas.
    seed : int
        Seed of the replicas.

    Returns
    -------
    EnsembleGain

    Raises
    ------
    ValueError
        If there are fewer than two members, or numbers make no sense.
    """
    if len(members) < 2:
        raise ValueError(f"the ensemble has {len(members)} members; expected two or more")
    if not 0 < efficiency <= 1:
        raise ValueError(f"efficiency is {efficiency}; expected a number above 0 and up to 1")
    level = check_level(level)
    samples, given = [], []
    for scores, own, name in zip(
        (scores_signal, scores_background), weights or (None, None), ("signal", "background"), strict=True
    ):
        rows = np.array([check_numbers(scores[member], f"scores of {member}") for member in members], dtype=float)
        samples.append(np.vstack([rows, rows.mean(axis=0)]))
        given.append(np.ones(rows.shape[1]) if own is None else check_weights(own, name, rows.shape[1]))
    signal, background = samples
    v, w = given
    thresholds = [float(SortedScores(row, "signal", v).threshold(efficiency)) for row in signal]
    *each, ensemble = (float(w[row >= cut].sum()) for row, cut in zip(background, thresholds, strict=True))
    replicas = passed_in_replicas(signal, background, v, w, efficiency, n_replicas, np.random.default_rng(seed))
    drawn_members, drawn_ensemble = replicas[:, :-1].mean(axis=1), replicas[:, -1]
    unit = w.mean() / 2 * ((drawn_members == 0) | (drawn_ensemble == 0))
    low, high = np.quantile((drawn_members + unit) / (drawn_ensemble + unit), [(1 - level) / 2, (1 + level) / 2])
    mean = float(np.mean(each))
    factor = mean / ensemble if ensemble else (np.inf if mean else np.nan)
    return EnsembleGain(factor, float(low), float(high) if ensemble else np.inf, ensemble, mean)
