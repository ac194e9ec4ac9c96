"""Energy planing: weights of training events that take the energy away as a means to tell the species apart.

Where electrons and protons have different spectra, a classifier that knows nothing but the energy does better than one
that knows nothing, and so a network learns spectra beside showers. Planing divides them out: each species is weighted
to the same spectrum, here a flat one in the logarithm of the energy (S. Chang, T. Cohen and B. Ostdiek, Phys. Rev. D
97 (2018) 056009). What a shower of an energy looks like can still be learned.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ..metrics import merge_bins
from .errors import TrainingError

__all__ = ["Planing", "plane"]

FloatArray = npt.NDArray[np.float64]

_BINS = 20
_MIN_COUNT = 20  # with so many events of the rarer species a weight is known to 22 %


@dataclass(frozen=True)
class Planing:
    """Weights of training events, and what they were made from.

    Parameters
    ----------
    weights : array, shape (n,)
        Weight of each event; their mean over either species is 1.
    edges : tuple of float
        Bins of the energy, GeV.
    effective : tuple of float
        Numbers of unweighted signal and background events that know a mean as well, ``(sum w)^2 / sum w^2``.
    """

    weights: FloatArray
    edges: tuple[float, ...]
    effective: tuple[float, float]

    def to_dict(self) -> dict[str, Any]:
        """Bins, and what the weights cost in events, for the record."""
        effective = {name: round(n, 1) for name, n in zip(("signal", "background"), self.effective, strict=True)}
        return {"edges": list(self.edges), "effective_events": effective}


def plane(energy: npt.ArrayLike, signal: npt.ArrayLike) -> Planing:
    """Weights with which both species have a flat spectrum in the logarithm of the energy.

    There are 20 bins of equal width in the logarithm between the lowest and the highest energy; neighbours are merged
    until each holds 20 events of either species.

    Parameters
    ----------
    energy : array_like, shape (n,)
        Energies of the training events, ``en3d``, GeV.
    signal : array_like of bool, shape (n,)
        Which of them are signal.

    Returns
    -------
    Planing

    Raises
    ------
    TrainingError
        If an energy is not positive, or there are no two bins with both species.
    """
    values, is_signal = np.asarray(energy, dtype=float), np.asarray(signal, dtype=bool)
    if not (np.isfinite(values).all() and values.min(initial=np.inf) > 0):
        raise TrainingError("planing needs positive, finite energies en3d of all training events")
    ends = values.min(), np.nextafter(values.max(), np.inf)
    edges = merge_bins(np.geomspace(*ends, _BINS + 1), values[is_signal], values[~is_signal], min_count=_MIN_COUNT)
    if len(edges) < 3:
        raise TrainingError(
            f"planing needs two bins of energy with {_MIN_COUNT} events of either species; "
            f"{is_signal.sum()} signal and {(~is_signal).sum()} background events have none such"
        )
    bins = np.clip(np.searchsorted(edges, values, side="right") - 1, 0, len(edges) - 2)
    weights = np.empty(len(values))
    effective = []
    for species in (is_signal, ~is_signal):
        counts = np.bincount(bins[species], minlength=len(edges) - 1)
        drawn = (np.diff(np.log(edges)) / counts)[bins[species]]
        weights[species] = drawn / drawn.mean()
        effective.append(float(drawn.sum() ** 2 / (drawn**2).sum()))
    return Planing(weights, tuple(edges.tolist()), (effective[0], effective[1]))
