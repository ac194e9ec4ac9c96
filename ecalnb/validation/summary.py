"""What the tables of a comparison say in short, and judges asked about several samples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from ..showers import Showers
from .judges import JUDGES, Judgement, learning_curve

__all__ = [
    "ask_judges", "correlation_differences", "highest_bins", "important_features", "judged_in_bins", "judgement_table",
    "largest_pulls", "learning_curves",
]  # fmt: skip


def highest_bins(table: pd.DataFrame) -> pd.DataFrame:
    """Rows of a table of :func:`ecalnb.validation.compare_quantities` in the highest bin of momentum of each."""
    return table.loc[table.groupby(["label", "quantity", "statistic"], sort=False)["low"].idxmax()]


def largest_pulls(table: pd.DataFrame) -> pd.DataFrame:
    """Rows of the same table in which each quantity differs most, in units of its error."""
    size = table.assign(size=table["pull"].abs().fillna(0)).groupby(["label", "quantity", "statistic"], sort=False)
    return table.loc[size["size"].idxmax()].reset_index(drop=True)


def correlation_differences(table: pd.DataFrame) -> pd.DataFrame:
    """Differences of the correlations of layers in short, from a table of one or more species.

    Parameters
    ----------
    table : DataFrame
        Of :func:`ecalnb.validation.compare_correlations`.

    Returns
    -------
    pandas.DataFrame
        ``label``, ``low``, ``high``, ``lag``, ``pairs`` (of layers), and the ``rms`` of the difference less its
        statistical error, with ``rms_error``.
    """
    rows = []
    for (label, low, high, lag), part in table.groupby(["label", "low", "high", "lag"]):
        excess = (part["difference"] ** 2).mean() - (part["difference_error"] ** 2).mean()
        error = part["difference_error"].mean() / np.sqrt(2 * len(part))
        rows.append((label, low, high, lag, len(part), np.sqrt(max(excess, 0)), error))
    return pd.DataFrame(rows, columns=["label", "low", "high", "lag", "pairs", "rms", "rms_error"])


def ask_judges(
    samples: Mapping[str, tuple[Showers, Showers]], options: Mapping[str, Mapping[str, Any]], **common: Any
) -> list[Judgement]:
    """Ask judges about several pairs of samples.

    Parameters
    ----------
    samples : mapping of str to tuple of Showers
        Reference and candidate of each species.
    options : mapping of str to mapping
        The judges to ask, of :data:`ecalnb.validation.JUDGES`, and the options of each.
    **common
        Options of all.
    """
    return [
        JUDGES[judge](reference, candidate, **{**own, **common})
        for reference, candidate in samples.values()
        for judge, own in options.items()
    ]


def judgement_table(judgements: Mapping[str, Sequence[Judgement]]) -> pd.DataFrame:
    """Table of judgements, a row each, of several kinds: ``kind``, and the columns of :meth:`Judgement.to_dict`."""
    return pd.DataFrame(
        [{"kind": kind, **judgement.to_dict()} for kind, found in judgements.items() for judgement in found]
    )


def judged_in_bins(judgements: Sequence[Judgement], edges: Mapping[str, Sequence[float]]) -> pd.DataFrame:
    """Judgements in bins of momentum.

    Parameters
    ----------
    judgements : sequence of Judgement
        The judgements.
    edges : mapping of str to sequence of float
        Edges of the bins of each species, GeV.

    Returns
    -------
    pandas.DataFrame
        ``label``, ``judge``, ``threshold`` and the columns of :meth:`Judgement.in_bins`.
    """
    parts = []
    for found in judgements:
        common = {"label": found.label, "judge": found.judge, "threshold": found.threshold}
        parts.append(_with(common, found.in_bins(edges[found.label])))
    return pd.concat(parts, ignore_index=True)


def learning_curves(
    samples: Mapping[str, tuple[Showers, Showers]], options: Mapping[str, Mapping[str, Any]], sizes: Sequence[int]
) -> pd.DataFrame:
    """Learning curves of several judges about several pairs of samples, which are given as to `ask_judges`.

    Returns
    -------
    pandas.DataFrame
        ``label``, ``judge`` and the columns of :func:`ecalnb.validation.learning_curve`.
    """
    parts = []
    for label, (reference, candidate) in samples.items():
        for judge, own in options.items():
            others = {name: value for name, value in own.items() if name != "n_train"}
            curve = learning_curve(judge, reference, candidate, sizes, **others)
            parts.append(_with({"label": label, "judge": judge}, curve))
    return pd.concat(parts, ignore_index=True)


def _with(common: Mapping[str, Any], table: pd.DataFrame) -> pd.DataFrame:
    return pd.concat([pd.DataFrame([common] * len(table), columns=list(common)), table], axis=1)


def important_features(judgements: Sequence[Judgement], n: int = 10) -> pd.DataFrame:
    """Features with the largest share of the gain of each BDT, a column for each species, as text."""
    return pd.DataFrame(
        {
            found.label: [f"{name} ({100 * share:.1f} %)" for name, share in list(found.importance.items())[:n]]
            for found in judgements
            if found.importance
        }
    )
