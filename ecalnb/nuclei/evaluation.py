"""How good models of the classes are: log-loss, efficiency and purity of each class, calibration, importances."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.special import logit

from ..intervals import clopper_pearson, effective_counts
from ..metrics import reliability
from .parameters import Nucleus
from .sample import class_names
from .schema import load_nuclei_schema

__all__ = ["Mean", "class_metrics", "class_reliability", "importance_by", "log_loss"]

_FLOOR = 1e-9  # a probability of 0 for what happened would make the log-loss infinite


class Mean(NamedTuple):
    """A mean and its error."""

    value: float
    error: float


def log_loss(probabilities: npt.ArrayLike, labels: npt.ArrayLike, weights: npt.ArrayLike | None = None) -> Mean:
    """Mean of minus the logarithm of the probability of the true class, with its statistical error.

    Parameters
    ----------
    probabilities : array_like, shape (n, classes)
        Of a model.
    labels : array_like of int, shape (n,)
        True classes; events below 0 do not count.
    weights : array_like, optional
        Weights.
    """
    p, y = np.asarray(probabilities, dtype=float), np.asarray(labels)
    used = y >= 0
    if not used.any():
        raise ValueError("no event is of one of the classes; expected some")
    losses = -np.log(np.maximum(p[used, y[used]], _FLOOR))
    w = np.ones(len(losses)) if weights is None else np.asarray(weights, dtype=float)[used]
    mean = np.average(losses, weights=w)
    return Mean(float(mean), float(np.sqrt((w**2 * (losses - mean) ** 2).sum()) / w.sum()))


def class_metrics(
    probabilities: npt.ArrayLike,
    labels: npt.ArrayLike,
    species: tuple[Nucleus, ...],
    weights: npt.ArrayLike | None = None,
    *,
    level: float = 0.68,
) -> pd.DataFrame:
    """Efficiency and purity of each class where the most probable one is chosen.

    Returns
    -------
    pandas.DataFrame
        A row for each class that has events: ``class``, ``n``, ``efficiency`` and ``purity`` with ``_low``, ``_high``.
    """
    p, y = np.asarray(probabilities, dtype=float), np.asarray(labels)
    w = np.ones(len(y)) if weights is None else np.asarray(weights, dtype=float)
    chosen = p.argmax(axis=1)
    rows = []
    for number, name in enumerate(class_names(species)):
        true, picked = y == number, (chosen == number) & (y >= 0)
        if not true.any():
            continue
        row: dict[str, object] = {"class": name, "n": int(true.sum())}
        for quantity, among in (("efficiency", true), ("purity", picked)):
            both = true & picked
            counts = effective_counts(w[both].sum(), (w[both] ** 2).sum(), w[among].sum(), (w[among] ** 2).sum())
            low, high = clopper_pearson(*counts, level)
            value = w[both].sum() / w[among].sum() if among.any() else np.nan
            row |= {quantity: value, f"{quantity}_low": float(low), f"{quantity}_high": float(high)}
        rows.append(row)
    return pd.DataFrame(rows)


def class_reliability(
    probability: npt.ArrayLike, true: npt.NDArray[np.bool_], weights: npt.ArrayLike, edges: npt.ArrayLike | None = None
) -> pd.DataFrame:
    """Share of true events against the predicted probability, in the mixture that the weights make.

    A row a bin, with the columns of :data:`ecalnb.metrics.RELIABILITY_COLUMNS`.
    """
    scores = logit(np.clip(np.asarray(probability, dtype=float), 1e-12, 1 - 1e-12))
    w = np.asarray(weights, dtype=float)
    prior = float(w[true].sum() / w.sum())
    return reliability(scores[true], scores[~true], edges, prior=prior, weights=(w[true], w[~true]))


def importance_by(contributions: npt.ArrayLike, by: str = "subdetector") -> pd.DataFrame:
    """Mean size of SHAP values, by subdetector or by variable.

    Contributions to a logit add up, so those of the columns of a group are added before the size is taken.

    Parameters
    ----------
    contributions : array_like, shape (n, columns)
        As :func:`ecalnb.nuclei.trees.tree_contributions` gives them.
    by : {"subdetector", "variable"}
        The groups.

    Returns
    -------
    pandas.DataFrame
        Rows by falling importance: the name, ``importance``, ``importance_error`` (of the mean).
    """
    schema = load_nuclei_schema()
    if by not in ("subdetector", "variable"):
        raise ValueError(f"by is {by!r}; expected 'subdetector' or 'variable'")
    names = [getattr(each, by if by == "subdetector" else "name") for each in schema.variables]
    groups = np.repeat(names, [each.elements for each in schema.variables])
    values = np.asarray(contributions, dtype=float)
    rows = []
    for name in dict.fromkeys(names):
        sizes = np.abs(values[:, groups == name].sum(axis=1))
        rows.append({by: name, "importance": sizes.mean(), "importance_error": sizes.std() / len(sizes) ** 0.5})
    return pd.DataFrame(rows).sort_values("importance", ascending=False, ignore_index=True)
