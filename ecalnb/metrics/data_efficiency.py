"""Rejection against the number of training events: means over seeds, and the power law that they may follow.

A training is one draw of many things: of its events, of the first weights, of their order. So there are several seeds
for each number of events, and what is quoted is the rejection of their mean misidentified fraction. All runs are judged
on the same events, so their statistical errors are correlated. A bootstrap takes care of that: each replica has its own
electrons, which set every run's threshold, its own protons, and its own choice of m - 1 of the m seeds. (With m of m
drawn the variance of the mean would come out too small by (m - 1) / m: J. Rao and C. Wu, J. Am. Stat. Assoc. 83 (1988)
231.) Where fewer than five protons pass, the interval is at least as wide as the mean of the exact ones.

Power law
    ``R = R0 (N / N0)^b``. Test losses of neural networks fall with the number of training events as a power over many
    decades, until something else limits them (J. Hestness et al., arXiv:1712.00409). The fit is one of least squares to
    ln R with the covariance of the replicas; its chi-squared says whether the data are a power law.
"""

from __future__ import annotations

import json
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from iminuit import Minuit
from scipy.stats import chi2

from ..intervals import FloatArray, check_level
from .comparison import Weights, passed_in_replicas
from .rejection import rejection_curve
from .roc import roc_auc
from .scores import check_numbers, check_weights

__all__ = ["FIT_COLUMNS", "POINT_COLUMNS", "DataEfficiency", "rejection_against_events"]

POINT_COLUMNS = {
    "model": "the architecture",
    "events": "training events",
    "seeds": "trainings, each with its own seed",
    "passed": "protons that pass, mean over the seeds (events, whatever their weights)",
    "rejection": "inverse of the mean misidentified fraction of the seeds; inf where no proton passes any",
    "low": "lower bound of the rejection; a one-sided limit where is_limit",
    "high": "upper bound of the rejection; inf where is_limit",
    "is_limit": "no proton passes any of the seeds",
    "spread": "standard deviation of the misidentified fraction between seeds, over its mean; NaN for one seed",
}
"""Columns of the table of points, and what they hold."""

FIT_COLUMNS = {
    "model": "the architecture",
    "points": "numbers of training events in the fit",
    "reference_events": "N0 of the power law",
    "rejection": "R0, the rejection after training on N0 events",
    "rejection_error": "its error",
    "exponent": "b",
    "exponent_error": "its error",
    "chi2": "of the fit",
    "ndf": "degrees of freedom",
    "p_value": "probability of a chi-squared this large if it is a power law",
}
"""Columns of the table of fits, and what they hold."""

MIN_PASSED = 5
"""Fewest protons that pass (mean over the seeds) at a point to be fitted: the logarithm of fewer is not normal."""


@dataclass(frozen=True)
class DataEfficiency:
    """How the rejection grows with the number of training events.

    Parameters
    ----------
    runs : pandas.DataFrame
        The table of runs with ``passed``, ``rejection``, ``low``, ``high``, ``is_limit`` and ``auc``, ``auc_low``,
        ``auc_high`` of each (:func:`ecalnb.metrics.rejection_curve`, threshold included, and
        :func:`ecalnb.metrics.roc_auc`).
    points : pandas.DataFrame
        A row for each model and number of events, with the columns of `POINT_COLUMNS`.
    fits : pandas.DataFrame
        A row for each model with three or more points to fit, with the columns of `FIT_COLUMNS`.
    """

    runs: pd.DataFrame = field(repr=False)
    points: pd.DataFrame
    fits: pd.DataFrame

    def to_dict(self) -> dict[str, list[dict[str, Any]]]:
        """Return the tables as plain values that JSON holds, without the folders of the runs."""
        tables = {"runs": self.runs.drop(columns="path", errors="ignore"), "points": self.points, "fits": self.fits}
        return {name: json.loads(table.to_json(orient="records")) for name, table in tables.items()}

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> DataEfficiency:
        """Read what `to_dict` made."""
        runs, points, fits = (pd.DataFrame(content[name]) for name in ("runs", "points", "fits"))
        for table in (runs, points):  # JSON knows no infinity
            table[["rejection", "high"]] = table[["rejection", "high"]].astype(float).fillna(np.inf)
        return cls(runs, points.astype({"spread": float}), fits.reindex(columns=list(FIT_COLUMNS)))


def rejection_against_events(
    runs: pd.DataFrame,
    scores_signal: Mapping[Hashable, npt.ArrayLike] | pd.DataFrame,
    scores_background: Mapping[Hashable, npt.ArrayLike] | pd.DataFrame,
    efficiency: float = 0.90,
    *,
    weights: Weights | None = None,
    level: float = 0.68,
    limit_level: float = 0.90,
    n_replicas: int = 500,
    seed: int = 1,
) -> DataEfficiency:
    """Rejection of trainings against their number of events, with the errors of the test sample and of the seeds.

    Parameters
    ----------
    runs : pandas.DataFrame
        A row for each training: ``run`` (its name), ``model``, ``events`` and ``seed``.
    scores_signal, scores_background : mapping of name to array_like, or DataFrame, shape (n,) and (m,)
        Scores of each run, higher for electrons, of the same electrons and the same protons in the same order.
    efficiency : float
        Electron efficiency.
    weights : tuple of array_like or None, optional
        ``(weights_signal, weights_background)``; either may be None for events of equal weight.
    level, limit_level : float
        Confidence level of the intervals, and of the one-sided limits where no proton passes.
    n_replicas : int
        Number of replicas, 100 or more.
    seed : int
        Seed of the replicas.

    Returns
    -------
    DataEfficiency

    Raises
    ------
    ValueError
        If a column or the scores of a run are missing, two trainings are of the same model, events and seed, or a
        number makes no sense.
    """
    level = check_level(level)
    if missing := [name for name in ("run", "model", "events", "seed") if name not in runs]:
        raise ValueError(f"the table of runs has no column {', '.join(missing)}; it has {', '.join(runs.columns)}")
    if runs.empty or runs.duplicated(["model", "events", "seed"]).any():
        raise ValueError(f"the {len(runs)} runs are not one for each model, number of events and seed; expected that")
    if lacking := [name for name in runs["run"] if name not in scores_signal or name not in scores_background]:
        raise ValueError(f"there are no scores of the run {lacking[0]!r}; expected some for each of {len(runs)}")
    if n_replicas < 100:
        raise ValueError(f"n_replicas is {n_replicas}; expected 100 or more")
    signal, background = (
        np.array([check_numbers(scores[name], f"scores of {name}") for name in runs["run"]])
        for scores in (scores_signal, scores_background)
    )
    given = weights or (None, None)
    judged = _judge(runs, signal, background, efficiency, given, level, limit_level)
    v, w = (
        np.ones(len(sample[0])) if own is None else check_weights(own, name, len(sample[0]))
        for own, sample, name in zip(given, (signal, background), ("signal", "background"), strict=True)
    )
    rng = np.random.default_rng(seed)
    replicas = passed_in_replicas(signal, background, v, w, efficiency, n_replicas, rng)
    # Half a proton where none is left in a replica, so that logarithms stay finite.
    drawn = np.maximum(replicas, w.mean() / 2) / w.sum()
    points, fits = [], []
    for model, own in judged.groupby("model", sort=False):
        rows, logs = _points(str(model), own, judged.index, drawn, level, rng)
        points += rows
        table = pd.DataFrame(rows)
        usable = (table["passed"] >= MIN_PASSED) & (table["seeds"] > 1)
        if usable.sum() >= 3:
            fits.append(_power_law(str(model), table[usable], logs[usable.to_numpy()]))
    return DataEfficiency(
        judged, pd.DataFrame(points, columns=list(POINT_COLUMNS)), pd.DataFrame(fits, columns=list(FIT_COLUMNS))
    )


def _judge(
    runs: pd.DataFrame,
    signal: FloatArray,
    background: FloatArray,
    efficiency: float,
    weights: Weights,
    level: float,
    limit_level: float,
) -> pd.DataFrame:
    """Rejection and area under the curve of each run."""
    rows = []
    for electrons, protons in zip(signal, background, strict=True):
        curve = rejection_curve(electrons, protons, [efficiency], weights, level, limit_level=limit_level)
        row = curve.iloc[0]
        auc = roc_auc(electrons, protons, level, weights=weights)
        rows.append([row["n_passed"], *row[["rejection", "low_total", "high_total", "is_limit"]], *auc])
    names = ["passed", "rejection", "low", "high", "is_limit", "auc", "auc_low", "auc_high"]
    return runs.reset_index(drop=True).join(pd.DataFrame(rows, columns=names).infer_objects())


def _points(
    model: str,
    own: pd.DataFrame,
    index: pd.Index,
    drawn: FloatArray,
    level: float,
    rng: np.random.Generator,
) -> tuple[list[dict[str, object]], FloatArray]:
    """Points of a model, and the logarithm of the misidentified fraction of each in each replica."""
    rows, logs = [], []
    for events, part in own.sort_values("events", kind="stable").groupby("events"):
        fractions = 1 / part["rejection"].to_numpy(float)
        mean, m = float(fractions.mean()), len(part)
        columns = index.get_indexer(part.index)
        chosen = columns[rng.integers(0, m, (len(drawn), max(m - 1, 1)))]
        replica = drawn[np.arange(len(drawn))[:, None], chosen].mean(axis=1)
        ends = np.quantile(replica, [(1 + level) / 2, (1 - level) / 2])
        limit = mean == 0
        if not limit and part["passed"].mean() < MIN_PASSED:
            # Of so few protons a bootstrap knows no more than that they are few: at least the exact intervals' means.
            exact_low, exact_high = ((1 / part[name]).mean() for name in ("low", "high"))
            ends = np.array([max(ends[0], exact_low), min(ends[1], exact_high)])
        with np.errstate(divide="ignore"):  # that none are left is possible
            low, high = 1 / ends
        rows.append(
            {
                "model": model,
                "events": int(str(events)),
                "seeds": m,
                "passed": float(part["passed"].mean()),
                "rejection": np.inf if limit else 1 / mean,
                # All seeds are judged on the same protons: several that let none pass know no more than one.
                "low": float(part["low"].min()) if limit else low,
                "high": np.inf if limit else high,
                "is_limit": limit,
                "spread": float(fractions.std(ddof=1) / mean) if m > 1 and not limit else np.nan,
            }
        )
        logs.append(np.log(replica))
    return rows, np.array(logs)


def _power_law(model: str, points: pd.DataFrame, logs: FloatArray) -> dict[str, object]:
    """Fit ln R = ln R0 + b ln(N / N0) with the covariance of the replicas."""
    events = points["events"].to_numpy(float)
    reference = float(np.exp(np.log(events).mean()))
    x, y = np.log(events / reference), np.log(points["rejection"].to_numpy(float))
    inverse = np.linalg.inv(np.cov(logs))

    def cost(log_rejection: float, exponent: float) -> float:
        residual = y - log_rejection - exponent * x
        return float(residual @ inverse @ residual)

    minuit = Minuit(cost, log_rejection=float(y.mean()), exponent=1.0)
    minuit.errordef = Minuit.LEAST_SQUARES
    minuit.strategy = 2
    minuit.migrad().hesse()
    value, error = minuit.values.to_dict(), minuit.errors.to_dict()
    rejection = float(np.exp(value["log_rejection"]))
    ndf = len(points) - 2
    return {
        "model": model,
        "points": len(points),
        "reference_events": reference,
        "rejection": rejection,
        "rejection_error": rejection * error["log_rejection"],
        "exponent": value["exponent"],
        "exponent_error": error["exponent"],
        "chi2": float(minuit.fval),
        "ndf": ndf,
        "p_value": float(chi2.sf(minuit.fval, ndf)),
    }
