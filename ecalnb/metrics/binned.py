"""Proton rejection in bins of energy, with a threshold of each bin or one for all.

Definitions, intervals and limits are those of :mod:`ecalnb.metrics.rejection`.
"""

from __future__ import annotations

import logging
from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from ..intervals import FloatArray
from ._bins import bin_numbers, check_edges, merge_bins
from .rejection import REJECTION_COLUMNS, Weights, check_efficiencies, check_pair, rejections_at
from .scores import SortedScores, check_numbers

__all__ = ["rejection_in_bins"]

logger = logging.getLogger(__name__)


def rejection_in_bins(
    scores_signal: npt.ArrayLike,
    energy_signal: npt.ArrayLike,
    scores_background: npt.ArrayLike,
    energy_background: npt.ArrayLike,
    edges: npt.ArrayLike,
    efficiency: float | npt.ArrayLike,
    *,
    threshold: Literal["per_bin", "global"] = "per_bin",
    window: tuple[float, float] | None = None,
    weights: Weights | None = None,
    min_count: int = 50,
    few: Literal["leave_out", "merge"] = "leave_out",
    level: float = 0.68,
    limit_level: float = 0.90,
) -> pd.DataFrame:
    """Proton rejection at an electron efficiency in bins of energy.

    Both species are put in the same bins of their own energy, so it should be the same quantity: ``en3d``.

    Parameters
    ----------
    scores_signal, energy_signal : array_like, shape (n,)
        Scores and energies (GeV) of the electrons.
    scores_background, energy_background : array_like, shape (m,)
        The same of the protons.
    edges : array_like, shape (bins + 1,)
        Edges of the bins, GeV, rising. The upper edge belongs to the next bin, and to the last bin itself.
    efficiency : float or array_like
        Electron efficiencies above 0 and up to 1.
    threshold : {"per_bin", "global"}
        A threshold for each bin, so that each has the efficiency asked for; or one for all of them, and the efficiency
        of each bin as it comes out (``efficiency_achieved``). With "global", ``rejection_threshold_low`` and ``_high``
        and the total interval vary that one threshold, in all bins together.
    window : tuple of float, optional
        Energies (GeV, lower end included) of the electrons that set the global threshold, inside the bins or not; all
        inside the bins unless told.
    weights : tuple of array_like or None, optional
        ``(weights_signal, weights_background)``.
    min_count : int
        Fewest electrons and protons (events, whatever their weights) for which a bin gets a rejection.
    few : {"leave_out", "merge"}
        What becomes of a bin with fewer: it has its counts and NaN; or it is merged with its neighbours
        (:func:`ecalnb.metrics.merge_bins`), and left out only if that is not enough.
    level, limit_level : float
        As in `rejection_curve`.

    Returns
    -------
    pandas.DataFrame
        For each efficiency a row for each bin: ``energy_low``, ``energy_high`` (GeV), and the columns of
        `REJECTION_COLUMNS`. Events outside the edges are counted in ``attrs["n_outside_signal"]`` and
        ``["n_outside_background"]``, and logged.

    Raises
    ------
    ValueError
        As in `rejection_curve`; if energies do not go with scores, edges do not rise, or no electron is there to set a
        global threshold.
    """
    wanted = check_efficiencies(efficiency)
    for name, value, known in (
        ("threshold", threshold, ("per_bin", "global")),
        ("few", few, ("leave_out", "merge")),
    ):
        if value not in known:
            raise ValueError(f"{name} is {value!r}; expected {known[0]!r} or {known[1]!r}")
    if min_count < 1:
        raise ValueError(f"min_count is {min_count!r}; expected at least 1 event a bin")
    if window is not None and threshold != "global":
        raise ValueError("a window is for the electrons that set a global threshold; expected threshold='global'")
    edges = check_edges(edges)
    weights_signal, weights_background = check_pair(weights)
    signal = _Binned(scores_signal, energy_signal, weights_signal, "signal")
    background = _Binned(scores_background, energy_background, weights_background, "background")
    if few == "merge":
        edges = merge_bins(edges, signal.energy, background.energy, min_count=min_count)
    in_signal, in_background = signal.bins(edges), background.bins(edges)
    everything = _reference(signal, in_signal, edges, window) if threshold == "global" else None

    tables = []
    for i in range(len(edges) - 1):
        counts = {"n_signal": np.count_nonzero(in_signal == i), "n_background": np.count_nonzero(in_background == i)}
        if min(counts.values()) < min_count:
            columns = {**dict.fromkeys(REJECTION_COLUMNS, np.nan), "efficiency": wanted, "is_limit": False, **counts}
            table = pd.DataFrame(columns)
        else:
            electrons, protons = signal.sorted(in_signal == i), background.sorted(in_background == i)
            table = rejections_at(wanted, everything or electrons, electrons, protons, level, limit_level)
        tables.append(table.assign(energy_low=edges[i], energy_high=edges[i + 1], number=range(len(wanted))))
    result = pd.concat(tables).sort_values("number", kind="stable", ignore_index=True)
    result = result[["energy_low", "energy_high", *REJECTION_COLUMNS]]
    for species, bins in (("signal", in_signal), ("background", in_background)):
        outside = int(np.count_nonzero(bins < 0))
        result.attrs[f"n_outside_{species}"] = outside
        if outside:
            logger.info("%d of %d %s events are outside the bins", outside, len(bins), species)
    return result


def _reference(
    signal: _Binned, bins: npt.NDArray[np.intp], edges: FloatArray, window: tuple[float, float] | None
) -> SortedScores:
    """Electrons that set a global threshold."""
    low, high = (edges[0], edges[-1]) if window is None else window
    chosen = bins >= 0 if window is None else (signal.energy >= low) & (signal.energy < high)
    if not chosen.any():
        raise ValueError(f"no electron is inside {low:g} to {high:g} GeV; a global threshold needs some")
    return signal.sorted(chosen)


class _Binned:
    """Scores, energies and weights of one species."""

    def __init__(
        self, scores: npt.ArrayLike, energies: npt.ArrayLike, weights: npt.ArrayLike | None, name: str
    ) -> None:
        self.name = name
        self.scores = check_numbers(scores, f"scores of the {name}")
        if not len(self.scores):
            raise ValueError(f"there are no scores of the {name}; expected at least one event")
        self.energy = check_numbers(energies, f"energies of the {name}", len(self.scores))
        self.weights = None if weights is None else check_numbers(weights, f"weights of the {name}", len(self.scores))

    def bins(self, edges: FloatArray) -> npt.NDArray[np.intp]:
        """Bin of each event; -1 outside."""
        return bin_numbers(self.energy, edges)

    def sorted(self, chosen: npt.NDArray[np.bool_]) -> SortedScores:
        weights = None if self.weights is None else self.weights[chosen]
        return SortedScores(self.scores[chosen], self.name, weights)
