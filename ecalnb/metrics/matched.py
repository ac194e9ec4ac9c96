"""Electrons and protons that models are compared on: one energy window, one spectrum, one table of scores."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from ..intervals import FloatArray
from ..spectra import spectrum_weights
from .comparison import rejection_factors
from .rejection import rejection_curve

__all__ = ["MatchedSample", "rejection_table"]

MODELS = ("ecal_", "shower_", "ams_")
"""How the columns of models begin in a table of scores."""


@dataclass(frozen=True, eq=False)
class MatchedSample:
    """Electrons and protons of one window in ``en3d``, the electrons weighted to the spectrum of the protons.

    Protons keep the weights that they have, so that none of the few that pass a cut counts more than it has to.

    Parameters
    ----------
    electrons, protons : DataFrame
        Rows of a table of scores: ``en3d`` (GeV) and a column a model.
    weights : tuple of array
        Weights of the electrons and of the protons.
    window : tuple of float
        Lower (included) and upper end of ``en3d``, GeV.
    """

    electrons: pd.DataFrame
    protons: pd.DataFrame
    weights: tuple[FloatArray, FloatArray]
    window: tuple[float, float]

    @classmethod
    def from_scores(
        cls, scores: pd.DataFrame, low: float, high: float, *, split: str | None = "test", n_bins: int = 6
    ) -> MatchedSample:
        """Take the labelled events of a split out of a table of scores.

        Parameters
        ----------
        scores : DataFrame
            As :func:`ecalnb.training.read_scores` returns it; events weigh 1 where it has no column ``weight``.
        low, high : float
            Window of ``en3d``, GeV.
        split : str or None
            Split of the events; None for all.
        n_bins : int
            Logarithmic bins in which the spectra are matched.

        Raises
        ------
        ValueError
            If the window is none, a species has no events in it, or there is no bin with both.
        """
        if not 0 < low < high:
            raise ValueError(f"window is {low} to {high} GeV; expected two rising energies")
        chosen = scores[(scores["en3d"] >= low) & (scores["en3d"] < high)]
        chosen = chosen if split is None else chosen[chosen["split"] == split]
        electrons, protons = (chosen[chosen["label"] == label] for label in ("electron", "proton"))
        if electrons.empty or protons.empty:
            raise ValueError(
                f"there are {len(electrons)} electrons and {len(protons)} protons with {low:g} <= en3d < {high:g} GeV; "
                "expected some of both"
            )
        own, theirs = (
            table["weight"].to_numpy(float) if "weight" in table else np.ones(len(table))
            for table in (electrons, protons)
        )
        edges = np.geomspace(low, high, n_bins + 1)
        matched = spectrum_weights(electrons["en3d"], protons["en3d"], edges, weights=own, reference_weights=theirs)
        return cls(electrons, protons, (matched, theirs), (low, high))

    @property
    def models(self) -> list[str]:
        """Models that have judged every event."""
        names = [name for name in map(str, self.electrons) if name.startswith(MODELS)]
        return [name for name in names if self.electrons[name].notna().all() and self.protons[name].notna().all()]

    @property
    def effective_protons(self) -> float:
        """Number of protons of equal weight that measure as well, (sum w)^2 / sum w^2."""
        _, weights = self.weights
        return float(weights.sum() ** 2 / (weights**2).sum())

    @property
    def statement(self) -> str:
        """What a rejection of these events has to say with it."""
        return f"{self.window[0]:g} ≤ en3d < {self.window[1]:g} GeV, matched, no crossing protons"

    def curve(self, model: str, efficiencies: npt.ArrayLike | None = None) -> pd.DataFrame:
        """Rejection of a model against efficiency, as :func:`ecalnb.metrics.rejection_curve` returns it."""
        return rejection_curve(self.electrons[model], self.protons[model], efficiencies, self.weights)

    def factors(self, reference: str, efficiency: float = 0.90, *, seed: int = 1) -> pd.DataFrame:
        """Factors of the reference over the other models, as :func:`ecalnb.metrics.rejection_factors` returns them."""
        electrons, protons = (
            {name: table[name].to_numpy() for name in self.models} for table in (self.electrons, self.protons)
        )
        return rejection_factors(electrons, protons, reference, efficiency, weights=self.weights, seed=seed)


def rejection_table(sample: MatchedSample, efficiencies: Sequence[float], models: Sequence[str] = ()) -> pd.DataFrame:
    """Rejections of several models at a few efficiencies, one row each.

    Parameters
    ----------
    sample : MatchedSample
        The events.
    efficiencies : sequence of float
        Electron efficiencies.
    models : sequence of str
        Columns of the models; all that have judged every event unless told.

    Returns
    -------
    DataFrame
        ``model``, the columns of :data:`ecalnb.metrics.REJECTION_COLUMNS`, and ``text``: the rejection with its
        interval and the number of protons that pass, or, after ``>``, the lower limit.
    """
    curves = [sample.curve(name, efficiencies).assign(model=name) for name in models or sample.models]
    table = pd.concat(curves, ignore_index=True)
    return table.assign(text=[rejection_text(row) for row in table.to_dict("records")])


def rejection_text(row: Mapping[Hashable, Any]) -> str:
    """Rejection of a row of a table with its interval and the protons that pass, or, after ``>``, its lower limit."""
    if row["is_limit"]:
        return f"> {row['low_total']:.3g}"
    high = "∞" if np.isinf(row["high_total"]) else f"{row['high_total']:.3g}"
    return f"{row['rejection']:.3g} ({row['low_total']:.3g} to {high}; {row['n_passed']:.0f})"
