"""Rejection by training method, each with several seeds, and what a method gains over another one.

Methods are judged on the same events, so what one gains over another is known better than their two intervals say. A
replica of the bootstrap has its own electrons, its own protons (:mod:`ecalnb.metrics.comparison`), and, of each
method's m seeds, its own choice of m - 1 (:mod:`ecalnb.metrics.data_efficiency`).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from ..intervals import FloatArray
from .comparison import passed_in_replicas
from .data_efficiency import rejection_against_events
from .matched import MatchedSample

__all__ = ["METHOD_COLUMNS", "rejection_by_method"]

METHOD_COLUMNS = {
    "method": "the method",
    "efficiency": "electron efficiency",
    "energy_low": "lower end of the window of en3d, GeV",
    "energy_high": "upper end",
    "n_signal": "electrons",
    "n_background": "protons",
    "seeds": "trainings",
    "passed": "protons that pass, mean over the seeds",
    "rejection": "inverse of the mean misidentified fraction; inf where no proton passes any seed",
    "low_total": "lower bound of the rejection; a one-sided limit where is_limit",
    "high_total": "upper bound of the rejection",
    "is_limit": "no proton passes any seed",
    "spread": "standard deviation of the misidentified fraction between seeds, over its mean; NaN for one seed",
    "gain": "rejection over that of the reference; NaN where either is a limit",
    "gain_low": "lower bound of the gain",
    "gain_high": "upper bound of the gain",
    "verdict": "gain or loss where the wide interval of the gain excludes 1, else none",
}
"""Columns of the table of methods, and what they hold."""

WIDE_LEVEL = 0.95
"""Confidence level of the interval that a gain is judged by: of several methods some leave 68 % by chance."""


def rejection_by_method(
    runs: pd.DataFrame,
    scores: pd.DataFrame,
    windows: Sequence[tuple[float, float]],
    efficiencies: Sequence[float] = (0.90,),
    *,
    reference: str = "source_only",
    level: float = 0.68,
    n_replicas: int = 500,
    min_count: int = 20,
    seed: int = 1,
) -> pd.DataFrame:
    """Rejection of each method in windows of energy, with its gain over a reference.

    Parameters
    ----------
    runs : pandas.DataFrame
        A row for each training: ``run`` (its name), ``method`` and ``seed``.
    scores : pandas.DataFrame
        Scores of test events by every run, as :func:`ecalnb.training.score_runs` returns them. In each window
        electrons are weighted to the spectrum of the protons (:class:`ecalnb.metrics.MatchedSample`).
    windows : sequence of (float, float)
        Windows of ``en3d``, GeV.
    efficiencies : sequence of float
        Electron efficiencies, set in each window.
    reference : str
        The method that the others are compared with.
    level : float
        Confidence level of the intervals.
    n_replicas : int
        Replicas of the bootstrap, 100 or more.
    min_count : int
        Fewest electrons and protons of a window; it is left out if it has fewer.
    seed : int
        Seed of the replicas.

    Returns
    -------
    pandas.DataFrame
        A row for each window, efficiency and method, with the columns of `METHOD_COLUMNS`.

    Raises
    ------
    ValueError
        If the reference is none of the methods, no window has enough events, or as in
        :func:`ecalnb.metrics.rejection_against_events`.
    """
    if reference not in set(runs["method"]):
        raise ValueError(f"the reference is {reference!r}; expected one of {', '.join(dict.fromkeys(runs['method']))}")
    by_method = runs[["run", "seed"]].assign(model=runs["method"], events=1)
    tables = []
    for low, high in windows:
        inside = scores[(scores["en3d"] >= low) & (scores["en3d"] < high)]
        if min((inside["label"] == label).sum() for label in ("electron", "proton")) < min_count:
            continue
        sample = MatchedSample.from_scores(inside, low, high, split=None)
        events = sample.electrons, sample.protons
        for efficiency in efficiencies:
            judged = rejection_against_events(
                by_method, *events, efficiency, weights=sample.weights, level=level, n_replicas=n_replicas, seed=seed
            )
            table = judged.points.rename(columns={"model": "method", "low": "low_total", "high": "high_total"})
            table = table.assign(efficiency=efficiency, energy_low=low, energy_high=high)
            table = table.assign(n_signal=len(sample.electrons), n_background=len(sample.protons))
            gains = _gains(by_method, sample, efficiency, table, reference, level, n_replicas, seed)
            tables.append(table.join(gains, on="method")[list(METHOD_COLUMNS)])
    if not tables:
        raise ValueError(f"no window of {list(windows)} has {min_count} electrons and protons; expected one that has")
    return pd.concat(tables, ignore_index=True)


def _gains(
    runs: pd.DataFrame,
    sample: MatchedSample,
    efficiency: float,
    table: pd.DataFrame,
    reference: str,
    level: float,
    n_replicas: int,
    seed: int,
) -> pd.DataFrame:
    """Gains of the methods over the reference, indexed by method."""
    rng = np.random.default_rng(seed)
    signal, background = (
        events[list(runs["run"])].to_numpy(float).T.copy() for events in (sample.electrons, sample.protons)
    )
    passed = passed_in_replicas(signal, background, *sample.weights, efficiency, n_replicas, rng)
    # Half a proton where none is left in a replica.
    passed = np.maximum(passed, sample.weights[1].mean() / 2)
    means = {
        str(method): _mean_of_seeds(passed[:, (runs["model"] == method).to_numpy()], rng)
        for method in dict.fromkeys(runs["model"])
    }
    rejections = table.set_index("method")["rejection"]
    rows = {}
    for method, own in means.items():
        ratio = means[reference] / own
        known = np.isfinite([rejections[method], rejections[reference]]).all()
        if method == reference or not known:
            rows[method] = [1.0 if known else np.nan, np.nan, np.nan, ""]
            continue
        gain = rejections[method] / rejections[reference]
        ends = [np.quantile(ratio, [(1 - wide) / 2, (1 + wide) / 2]) for wide in (level, WIDE_LEVEL)]
        verdict = "gain" if ends[1][0] > 1 else "loss" if ends[1][1] < 1 else "none"
        rows[method] = [gain, *ends[0], verdict]
    return pd.DataFrame.from_dict(rows, orient="index", columns=["gain", "gain_low", "gain_high", "verdict"])


def _mean_of_seeds(passed: FloatArray, rng: np.random.Generator) -> FloatArray:
    """Mean over a choice of m - 1 of the m seeds in each replica; with m of m its variance would come out too small."""
    n, m = passed.shape
    chosen = rng.integers(0, m, (n, max(m - 1, 1)))
    return np.take_along_axis(passed, chosen, axis=1).mean(axis=1)
