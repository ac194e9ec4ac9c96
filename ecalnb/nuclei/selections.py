"""Selections of a species: rectangular cuts, or a cut on the probability that a model gives.

The signal of a species is its intact class: what arrives at L2 with its charge. Everything else that is selected counts
against the purity: heavier nuclei that became the species above, above all.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from ..intervals import FloatArray, clopper_pearson, effective_counts
from .parameters import Nucleus, pick
from .sample import PLACES, NucleiSample

__all__ = [
    "Hypercube",
    "contamination",
    "efficiency_and_purity",
    "purity_curve",
    "signal_of",
    "threshold_at",
    "tune_hypercube",
]

BoolArray = npt.NDArray[np.bool_]

WINDOWS = ("trk_q_l1", "tof_q_upper", "trk_q_inner", "tof_q_lower")
LIMITS = ("trk_q_inner_rms", "trk_chi2_y", "trk_residual_l1")
"""Variables with two cuts, and with an upper one on their size."""

# How often each cut of a hypercube is tuned.
_SWEEPS = 3


@dataclass(frozen=True)
class Hypercube:
    """Rectangular cuts.

    Parameters
    ----------
    nucleus : Nucleus
        The species that they select.
    cuts : dict
        Lower and upper limit by variable; of `LIMITS` the size counts.
    """

    nucleus: Nucleus
    cuts: dict[str, tuple[float, float]]

    def passes(self, sample: NucleiSample, without: Sequence[str] = ()) -> BoolArray:
        """Which events pass; one whose variable was not measured does not.

        Parameters
        ----------
        sample : NucleiSample
            Events.
        without : sequence of str
            Variables whose cuts are left out.
        """
        good = np.ones(len(sample), dtype=bool)
        for name, (low, high) in self.cuts.items():
            if name not in without:
                values = _size(sample, name)
                good &= (values >= low) & (values <= high)
        return good

    def table(self) -> pd.DataFrame:
        """Cuts as a table for people."""
        rows = [{"variable": name, "low": low, "high": high} for name, (low, high) in self.cuts.items()]
        return pd.DataFrame(rows)


def _size(sample: NucleiSample, name: str) -> npt.NDArray[np.float32]:
    values = sample.column(name)
    return np.abs(values) if name in LIMITS else values


def signal_of(sample: NucleiSample, nucleus: Nucleus) -> BoolArray:
    """Which events are the signal of a species: true charge, and no break-up above L2."""
    charge, place, _ = sample.truth
    return np.asarray((charge == nucleus.charge) & (place >= 2))


def tune_hypercube(sample: NucleiSample, nucleus: Nucleus, weights: npt.ArrayLike, *, power: float = 2.0) -> Hypercube:
    """Tune the cuts of a species on training events, one after another, until all have their best place.

    Each cut is tried at quantiles of the signal that lose 1 to 15 %; what counts is efficiency times a power of the
    purity.

    Parameters
    ----------
    sample : NucleiSample
        Training events.
    nucleus : Nucleus
        The species.
    weights : array_like
        Natural weights.
    power : float
        Of the purity; larger for tighter cuts.

    Raises
    ------
    ValueError
        If the sample has less than 100 events of the species.
    """
    w, signal = np.asarray(weights, dtype=float), signal_of(sample, nucleus)
    if (count := np.count_nonzero(signal)) < 100:
        raise ValueError(f"there are {count} events of {nucleus.name} to tune cuts on; expected 100 or more")
    values = {name: _size(sample, name) for name in (*WINDOWS, *LIMITS)}
    steps = np.array([0.01, 0.02, 0.03, 0.05, 0.07, 0.1, 0.15])
    grids = {name: np.nanquantile(values[name][signal], [steps, 1 - steps]) for name in values}
    cuts = {name: [grids[name][0, 0] if name in WINDOWS else -np.inf, grids[name][1, 0]] for name in values}
    total = w[signal].sum()

    def merit(good: BoolArray) -> float:
        selected = w[good].sum()
        kept = w[good & signal].sum()
        return float(kept / total * (kept / selected) ** power) if selected else 0.0

    masks = {name: (values[name] >= low) & (values[name] <= high) for name, (low, high) in cuts.items()}
    for _ in range(_SWEEPS):
        for name in values:
            others = np.all([mask for other, mask in masks.items() if other != name], axis=0)
            for side in (0, 1) if name in WINDOWS else (1,):
                inside = others & (values[name] <= cuts[name][1] if side == 0 else values[name] >= cuts[name][0])
                good = [
                    inside & (values[name] >= edge if side == 0 else values[name] <= edge) for edge in grids[name][side]
                ]
                cuts[name][side] = float(grids[name][side][int(np.argmax([merit(each) for each in good]))])
            masks[name] = (values[name] >= cuts[name][0]) & (values[name] <= cuts[name][1])
    return Hypercube(nucleus, {name: (float(low), float(high)) for name, (low, high) in cuts.items()})


def threshold_at(
    score: npt.ArrayLike, signal: BoolArray, efficiency: float, weights: npt.ArrayLike | None = None
) -> float:
    """Threshold above which a share of the signal is.

    Raises
    ------
    ValueError
        If the efficiency is not between 0 and 1, or there is no signal.
    """
    if not 0 < efficiency < 1:
        raise ValueError(f"efficiency is {efficiency!r}; expected a number between 0 and 1")
    if not signal.any():
        raise ValueError("there are no events of the signal to set a threshold by; expected some")
    own = np.asarray(score, dtype=float)[signal]
    w = np.ones(len(own)) if weights is None else np.asarray(weights, dtype=float)[signal]
    order = np.argsort(own)[::-1]
    above = np.cumsum(w[order]) / w.sum()
    return float(own[order][np.searchsorted(above, efficiency)])


def efficiency_and_purity(
    selected: BoolArray,
    signal: BoolArray,
    weights: npt.ArrayLike,
    rigidity: npt.ArrayLike | None = None,
    edges: npt.ArrayLike | None = None,
    *,
    level: float = 0.68,
) -> pd.DataFrame:
    """Efficiency and purity of a selection, in all or in bins of rigidity.

    Parameters
    ----------
    selected, signal : array of bool, shape (n,)
        Which events pass, and which should.
    weights : array_like, shape (n,)
        Natural weights.
    rigidity, edges : array_like, optional
        Rigidity of the events and edges of bins, GV; all in one unless told.
    level : float
        Of the Clopper-Pearson intervals, with effective counts.

    Returns
    -------
    pandas.DataFrame
        A row a bin: ``rigidity_low``, ``rigidity_high``, ``efficiency`` and ``purity``, each with ``_low`` and
        ``_high``, and ``n_selected``.
    """
    w = np.asarray(weights, dtype=float)
    borders = np.array([0.0, np.inf]) if edges is None else np.asarray(edges, dtype=float)
    r = np.full(len(w), 1.0) if rigidity is None else np.abs(np.asarray(rigidity, dtype=float))
    number = np.searchsorted(borders, r, side="right") - 1
    columns: dict[str, npt.ArrayLike] = {"rigidity_low": borders[:-1], "rigidity_high": borders[1:]}

    def sums(which: BoolArray, power: int) -> FloatArray:
        inside = which & (number >= 0) & (number < len(borders) - 1)
        return np.bincount(number[inside], w[inside] ** power, minlength=len(borders) - 1).astype(float)

    for name, among in (("efficiency", signal), ("purity", selected)):
        both = sums(selected & signal, 1), sums(selected & signal, 2), sums(among, 1), sums(among, 2)
        low, high = clopper_pearson(*effective_counts(*both), level)
        with np.errstate(invalid="ignore"):
            columns |= {name: both[0] / both[2], f"{name}_low": low, f"{name}_high": high}
    columns["n_selected"] = sums(selected, 0).astype(int)
    return pd.DataFrame(columns)


def purity_curve(
    score: npt.ArrayLike, signal: BoolArray, weights: npt.ArrayLike, efficiencies: npt.ArrayLike
) -> pd.DataFrame:
    """Purity against efficiency of a cut on a score: a row of `efficiency_and_purity` for each efficiency."""
    s = np.asarray(score, dtype=float)
    rows = [
        efficiency_and_purity(s >= threshold_at(s, signal, float(each), weights), signal, weights)
        for each in np.asarray(efficiencies, dtype=float)
    ]
    return pd.concat(rows, ignore_index=True)


def contamination(
    selected: BoolArray, sample: NucleiSample, weights: npt.ArrayLike, *, level: float = 0.68
) -> pd.DataFrame:
    """Share of each true species and place of break-up in a selection.

    Returns
    -------
    pandas.DataFrame
        Rows by falling share: ``species``, ``place``, ``share``, ``share_low``, ``share_high``, ``n``.
    """
    w = np.asarray(weights, dtype=float)
    charge, place, _ = sample.truth
    names = {each.charge: each.name for each in pick()}
    total, squares = w[selected].sum(), (w[selected] ** 2).sum()
    rows = []
    for z in np.unique(charge[selected]):
        for code in np.unique(place[selected & (charge == z)]):
            own = selected & (charge == z) & (place == code)
            low, high = clopper_pearson(*effective_counts(w[own].sum(), (w[own] ** 2).sum(), total, squares), level)
            row = {"species": names[int(z)], "place": PLACES[code], "share": w[own].sum() / total}
            rows.append(row | {"share_low": float(low), "share_high": float(high), "n": np.count_nonzero(own)})
    table = pd.DataFrame(rows, columns=["species", "place", "share", "share_low", "share_high", "n"])
    return table.sort_values("share", ascending=False, ignore_index=True)
