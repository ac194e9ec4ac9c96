"""What a judge found: the area under the ROC curve, and the scores behind it."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from ..metrics import Auc, roc_auc

__all__ = ["MINIMUM", "Judgement"]

MINIMUM = 20
"""Fewest events of each kind in a sample or a bin that is judged."""


@dataclass(frozen=True)
class Judgement:
    """What a judge found.

    Parameters
    ----------
    judge : str
        ``bdt`` or ``cnn``.
    label : str
        The species.
    auc : Auc
        Area under the ROC curve on the judged events, with its 68 % interval (DeLong).
    scores : pandas.DataFrame
        One row a judged event: ``is_reference``, ``momentum`` (GeV), ``visible`` (sum of the cells, GeV), ``score``,
        which is higher for what looks like the reference.
    n_train, n_validation : int
        Events of each kind that it was trained on and stopped by (the smaller of the two numbers).
    threshold : float
        Cells below it were set to zero, GeV.
    evaluate_on, seed, crossing
        As they were asked for.
    twins : bool
        Whether the samples are twins (:class:`ecalnb.validation.conditions.Pair`).
    importance : dict
        Share of each feature in the gain of the BDT, the largest first; empty for the network.
    """

    judge: str
    label: str
    auc: Auc
    scores: pd.DataFrame = field(repr=False)
    n_train: int
    n_validation: int
    threshold: float
    evaluate_on: str
    seed: int
    twins: bool
    crossing: bool
    importance: dict[str, float] = field(default_factory=dict, repr=False)

    def in_bins(self, edges: Sequence[float], column: str = "momentum") -> pd.DataFrame:
        """AUC in bins of a column of `scores`, for those with at least 20 events of each kind.

        Returns
        -------
        pandas.DataFrame
            ``low``, ``high`` (bin), ``n_reference``, ``n_candidate``, ``auc``, ``auc_low``, ``auc_high``.
        """
        rows = []
        for low, high in itertools.pairwise(edges):
            part = self.scores[(self.scores[column] >= low) & (self.scores[column] < high)]
            first, second = (part.loc[part["is_reference"] == is_reference, "score"] for is_reference in (True, False))
            if min(len(first), len(second)) >= MINIMUM:
                rows.append((low, high, len(first), len(second), *roc_auc(first.to_numpy(), second.to_numpy())))
        return pd.DataFrame(rows, columns=["low", "high", "n_reference", "n_candidate", "auc", "auc_low", "auc_high"])

    def to_dict(self) -> dict[str, Any]:
        """Return everything but the scores, as plain values."""
        plain = {name: value for name, value in vars(self).items() if name not in ("auc", "scores", "importance")}
        n_test = self.scores["is_reference"].value_counts()
        return {
            **plain,
            "auc": self.auc.value,
            "auc_low": self.auc.low,
            "auc_high": self.auc.high,
            "n_reference": int(n_test.get(True, 0)),
            "n_candidate": int(n_test.get(False, 0)),
        }
