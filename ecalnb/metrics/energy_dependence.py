"""How much a score depends on the energy.

A classifier is trained where labelled events exist and used at energies where there are none. It can be trusted there
only as far as its score says the same at every energy. Three looks at that, each for one species:

`score_profile`
    Median and quantiles of the score in bins of energy.
`efficiency_spread`
    What a user of one cut sees: by how much the efficiency at one threshold for all energies varies between them.
`energy_correlation`
    Distance correlation of the ranks of score and energy (:mod:`ecalnb.metrics.distance_correlation`): any dependence
    of the whole distribution, in one number.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.stats import chi2 as chi2_distribution
from scipy.stats import norm

from ..intervals import FloatArray, check_level, effective_counts
from ._bins import bin_numbers, check_edges
from ._weighted import quantiles_of_sorted
from .distance_correlation import DistanceCorrelation, distance_correlation
from .rejection import check_efficiencies
from .scores import ROUNDING, check_numbers, check_weights

__all__ = ["EfficiencySpread", "efficiency_spread", "energy_correlation", "score_profile"]

QUANTILES = (0.025, 0.16, 0.5, 0.84, 0.975)


class EfficiencySpread(NamedTuple):
    """Spread of the efficiency at one threshold over bins of energy.

    Parameters
    ----------
    spread : float
        Standard deviation of the true efficiencies of the bins, statistical fluctuations taken out; 0 where these
        explain all.
    low, high : float
        Interval of the spread.
    lowest, highest : float
        Of the measured efficiencies.
    p_value : float
        Probability of such a chi2 or a larger one if the efficiency were the same at all energies.
    n_bins : int
        Bins with enough events.
    """

    spread: float
    low: float
    high: float
    lowest: float
    highest: float
    p_value: float
    n_bins: int


class _Sample(NamedTuple):
    """Scores, energies and weights of one species."""

    scores: FloatArray
    energy: FloatArray
    weights: FloatArray


def _sample(scores: npt.ArrayLike, energy: npt.ArrayLike, weights: npt.ArrayLike | None) -> _Sample:
    values = check_numbers(scores, "scores").astype(float)
    if not len(values):
        raise ValueError("there are no scores; expected at least one event")
    energies = check_numbers(energy, "energies", len(values)).astype(float)
    own = np.ones(len(values)) if weights is None else check_weights(weights, "events", len(values))
    return _Sample(values, energies, own)


def score_profile(
    scores: npt.ArrayLike,
    energy: npt.ArrayLike,
    edges: npt.ArrayLike,
    *,
    weights: npt.ArrayLike | None = None,
    quantiles: Sequence[float] = QUANTILES,
    min_count: int = 50,
    level: float = 0.68,
) -> pd.DataFrame:
    """Quantiles of the score in bins of energy, with the interval of the median.

    Parameters
    ----------
    scores, energy : array_like, shape (n,)
        Scores and energies (GeV) of one species.
    edges : array_like, shape (bins + 1,)
        Edges of the bins, GeV, rising.
    weights : array_like, shape (n,), optional
        Weights of the events.
    quantiles : sequence of float
        Between 0 and 1; the middle of 68 % and of 95 % and the median unless told.
    min_count : int
        Fewest events for which a bin gets quantiles; others have NaN.
    level : float
        Confidence level of the interval of the median, between the order statistics about it.

    Returns
    -------
    pandas.DataFrame
        A row for each bin: ``energy_low``, ``energy_high``, ``n`` (events), ``median``, ``median_low``,
        ``median_high``, and a column for each quantile, named by the number.

    Raises
    ------
    ValueError
        If lengths differ, a number is NaN, edges do not rise, or a quantile is no fraction.
    """
    sample, bins = _sample(scores, energy, weights), check_edges(edges)
    wanted = check_numbers(quantiles, "quantiles").astype(float)
    if not ((wanted >= 0) & (wanted <= 1)).all():
        raise ValueError(f"quantiles are {wanted.tolist()}; expected fractions from 0 to 1")
    width = float(norm.ppf((1 + check_level(level)) / 2)) / 2
    number = bin_numbers(sample.energy, bins)
    names = ["median", "median_low", "median_high", *wanted.tolist()]
    rows = []
    for i in range(len(bins) - 1):
        inside = number == i
        row: dict[object, object] = {"energy_low": bins[i], "energy_high": bins[i + 1], "n": int(inside.sum())}
        values = np.full(len(names), np.nan)
        w = sample.weights[inside]
        if inside.sum() >= max(min_count, 1) and w.any():
            order = np.argsort(sample.scores[inside])
            # The fraction of events below the true median is binomial: one half within this.
            step = min(width * np.sqrt((w**2).sum()) / w.sum(), 0.5)
            asked = np.concatenate([[0.5, 0.5 - step, 0.5 + step], wanted])
            values = quantiles_of_sorted(sample.scores[inside][order], w[order], asked)
        rows.append({**row, **dict(zip(names, values, strict=True))})
    return pd.DataFrame(rows)


def efficiency_spread(
    scores: npt.ArrayLike,
    energy: npt.ArrayLike,
    edges: npt.ArrayLike,
    efficiency: float,
    *,
    window: tuple[float, float] | None = None,
    weights: npt.ArrayLike | None = None,
    min_count: int = 50,
    level: float = 0.68,
    n_replicas: int = 200,
    seed: int = 1,
) -> EfficiencySpread:
    """Spread over the energy of the electron efficiency at one threshold.

    Every bin counts the same, so that the spectrum of the sample does not matter. From the variance of the measured
    efficiencies the mean binomial variance is subtracted; the error of the difference is that of a bootstrap, which
    sets the threshold anew from the electrons of each replica.

    Parameters
    ----------
    scores, energy : array_like, shape (n,)
        Scores and energies (GeV) of the electrons.
    edges : array_like, shape (bins + 1,)
        Edges of the bins, GeV, rising.
    efficiency : float
        Electron efficiency that sets the threshold.
    window : tuple of float, optional
        Energies (GeV, lower end included) of the electrons that set it; all inside the bins unless told.
    weights : array_like, shape (n,), optional
        Weights of the electrons.
    min_count : int
        Fewest events of a bin that takes part.
    level : float
        Confidence level of the interval.
    n_replicas, seed : int
        Of the bootstrap.

    Returns
    -------
    EfficiencySpread

    Raises
    ------
    ValueError
        If there are no two bins with enough events, or no electron to set the threshold, or an argument is no good.
    """
    sample, bins = _sample(scores, energy, weights), check_edges(edges)
    (wanted,) = check_efficiencies(efficiency)
    width = float(norm.ppf((1 + check_level(level)) / 2))
    if n_replicas < 20:
        raise ValueError(f"n_replicas is {n_replicas}; expected 20 or more")
    falling = np.argsort(-sample.scores, kind="stable")
    number = bin_numbers(sample.energy, bins)[falling]
    counts = np.bincount(number[number >= 0], minlength=len(bins) - 1)
    used = np.flatnonzero(counts >= max(min_count, 2))
    if len(used) < 2:
        raise ValueError(f"{len(used)} bins have {min_count} events; expected two or more to compare")
    low, high = (bins[0], bins[-1]) if window is None else window
    setting = number >= 0 if window is None else ((sample.energy >= low) & (sample.energy < high))[falling]
    if not setting.any():
        raise ValueError(f"no electron is inside {low:g} to {high:g} GeV; a threshold needs some")
    place = np.searchsorted(used, number)
    place = np.where(np.isin(number, used), place, len(used))
    ranked, own = sample.scores[falling], sample.weights[falling]

    def measure(w: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Efficiency of each bin, and its effective number of events."""
        above = np.cumsum(w * setting)
        first = int((above < wanted * above[-1] * (1 - ROUNDING)).sum())
        stop = int(np.searchsorted(-ranked, -ranked[first], side="right"))
        sums = [np.bincount(place[:end], v[:end], len(used) + 1)[:-1] for v in (w, w**2) for end in (stop, len(w))]
        passed, total, passed2, total2 = sums
        return passed / total, effective_counts(passed, passed2, total, total2)[1]

    def variance(efficiencies: FloatArray, n: FloatArray) -> float:
        # The unbiased estimate of the binomial variance of a fraction.
        noise = efficiencies * (1 - efficiencies) / np.maximum(n - 1, 1)
        return float(efficiencies.var(ddof=1) - noise.mean())

    measured, n = measure(own)
    value = variance(measured, n)
    rng = np.random.default_rng(seed)
    size = len(own)
    drawn = [
        variance(*measure(own * np.bincount(rng.integers(0, size, size), minlength=size))) for _ in range(n_replicas)
    ]
    error = width * float(np.std(drawn, ddof=1))
    mean = (measured * n).sum() / n.sum()
    scatter = (n * (measured - mean) ** 2).sum() / max(mean * (1 - mean), 1e-300)
    spread, least, most = (float(np.sqrt(max(v, 0.0))) for v in (value, value - error, value + error))
    p_value = float(chi2_distribution.sf(scatter, len(used) - 1))
    return EfficiencySpread(spread, least, most, float(measured.min()), float(measured.max()), p_value, len(used))


def energy_correlation(
    scores: npt.ArrayLike,
    energy: npt.ArrayLike,
    weights: npt.ArrayLike | None = None,
    *,
    n_replicas: int = 100,
    max_events: int = 20_000,
    seed: int = 1,
) -> DistanceCorrelation:
    """Squared distance correlation of the ranks of score and energy of one species, without bias.

    Ranks, because models are compared whose scores have different scales, and infinite scores are allowed.

    Parameters
    ----------
    scores, energy : array_like, shape (n,)
        Scores and energies of the events.
    weights, n_replicas, max_events, seed
        As of :func:`ecalnb.metrics.distance_correlation`.
    """
    options = {"n_replicas": n_replicas, "max_events": max_events, "seed": seed}
    return distance_correlation(scores, energy, weights, ranks=True, **options)
