"""Response matching: source showers made like those of the target, by a few corrections fitted on electrons.

The corrections come before any network, so any model can be trained on the corrected showers: cells that are dead in
the target read 0, showers are further developed and wider, layers have other gains, there is more noise. Each has one
statistic of electrons that it moves and the others hardly do, and is fitted to it; the electrons of the source are
weighted to the spectrum of those of the target.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import optimize, special

from ...geometry import Calorimeter
from ...simulation.response import Circumstances, Noise, ShowerDepth, ShowerWidth
from ..batches import EventSource
from ..errors import TrainingError

__all__ = ["MatchedSource", "ResponseMatching", "fit_response"]

log = logging.getLogger(__name__)

FloatArray = npt.NDArray[np.float64]

_CORE = 5  # cells to either side of a layer's largest that its width is measured in
_FEWEST = 50  # electrons for a fit
_DEAD = 20.0  # hits expected of a cell that is called dead without any: chance e^-20


@dataclass(frozen=True)
class ResponseMatching:
    """Corrections of source showers, in the order in which they are applied.

    Parameters
    ----------
    shift : float
        Of the shower in depth, in layers (:class:`~ecalnb.simulation.response.ShowerDepth`).
    width : float
        Share of each cell that goes to its neighbours (:class:`~ecalnb.simulation.response.ShowerWidth`).
    gains : tuple of float
        Factor of each layer.
    noise, threshold : float
        Standard deviation and zero suppression of the noise that is added, GeV.
    dead : tuple of (int, int)
        Layer and cell of those that read 0.
    """

    shift: float = 0.0
    width: float = 0.0
    gains: tuple[float, ...] = ()
    noise: float = 0.0
    threshold: float = 0.0
    dead: tuple[tuple[int, int], ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return the corrections as plain values that JSON holds."""
        return {**asdict(self), "gains": list(self.gains), "dead": [list(cell) for cell in self.dead]}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> ResponseMatching:
        """Make the corrections again that `to_dict` describes."""
        return cls(**{**values, "gains": tuple(values["gains"]), "dead": tuple(tuple(c) for c in values["dead"])})

    def __call__(
        self, cells: npt.NDArray[np.float32], geometry: Calorimeter, generator: np.random.Generator
    ) -> npt.NDArray[np.float32]:
        """Cells after the corrections, GeV, (n, layers, cells); `generator` draws the noise."""
        energies = cells.astype(np.float64)
        circumstances = Circumstances(geometry, generator, generator)
        if self.shift:
            energies = ShowerDepth(self.shift)(energies, circumstances)
        if self.width:
            energies = ShowerWidth(self.width)(energies, circumstances)
        if self.gains:
            energies *= np.asarray(self.gains)[:, None]
        if self.noise:
            energies = Noise(self.noise, self.threshold)(energies, circumstances)
        for layer, cell in self.dead:
            energies[:, layer, cell] = 0
        return energies.astype(np.float32)


@dataclass(frozen=True)
class MatchedSource:
    """A store whose showers are corrected as they are read, to train on; the event table stays as it is.

    Parameters
    ----------
    store : EventSource
        The source domain.
    matching : ResponseMatching
        The corrections. An event gets the same noise each time.
    """

    store: EventSource = field(repr=False)
    matching: ResponseMatching

    @property
    def geometry(self) -> Calorimeter:
        """The calorimeter of the events."""
        return self.store.geometry

    @property
    def columns(self) -> list[str]:
        """Names of the columns of the event table."""
        return self.store.columns

    def __len__(self) -> int:
        return len(self.store)

    def table(self, columns: Sequence[str] | None = None) -> pd.DataFrame:
        """Event table, row i for event i."""
        return self.store.table(columns)

    def dense(self, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
        """Corrected cell energies, (n, layers, cells), GeV."""
        cells = self.store.dense(rows)
        if not self.matching.noise:
            return self.matching(cells, self.geometry, np.random.default_rng(0))
        generators = (np.random.default_rng((1, int(row))) for row in rows)
        parts = [
            self.matching(one[None], self.geometry, generator) for one, generator in zip(cells, generators, strict=True)
        ]
        return np.concatenate(parts) if parts else cells

    def splits(self, split: str = "default") -> npt.NDArray[np.str_]:
        """Sample of each event."""
        return self.store.splits(split)

    def fingerprint(self) -> str:
        """Hash of data and corrections."""
        text = json.dumps([self.store.fingerprint(), self.matching.to_dict()], sort_keys=True)
        return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


def fit_response(
    source: npt.NDArray[np.float32],
    target: npt.NDArray[np.float32],
    geometry: Calorimeter,
    *,
    source_energy: npt.ArrayLike | None = None,
    target_energy: npt.ArrayLike | None = None,
) -> ResponseMatching:
    """Fit the corrections on electrons of both domains.

    In this order: dead cells (none of the target's electrons have energy where 20 and more were to be expected), the
    shift (mean depth), the width (lateral variance near the largest cell of each layer), the gains of the layers (their
    mean shares of the energy), and the noise (hits far from the shower).

    Parameters
    ----------
    source, target : array of float32, shape (n, layers, cells) and (m, layers, cells)
        Cells of electrons, GeV.
    geometry : Calorimeter
        The calorimeter.
    source_energy, target_energy : array, shape (n,) and (m,), optional
        Energies, GeV, in whose spectrum source electrons are weighted to those of the target; no weights without them.
        Target electrons beyond the energies of the source take no part.

    Raises
    ------
    TrainingError
        If there are fewer than 50 electrons in either, or of the target at the energies of the source.
    """
    _check_number("source", source)
    _check_number("target", target)
    weights = np.ones(len(source))
    if source_energy is not None and target_energy is not None:
        ours, theirs = np.asarray(source_energy, float), np.asarray(target_energy, float)
        common = (theirs >= ours.min()) & (theirs <= ours.max())
        target, theirs = target[common], theirs[common]
        _check_number(f"target from {ours.min():.4g} to {ours.max():.4g} GeV", target)
        weights = _spectrum_weights(ours, theirs)
    weights /= weights.sum()
    expected = len(target) * np.tensordot(weights, source > 0, axes=1)
    dead = (expected > _DEAD) & ~(target > 0).any(axis=0)
    none = Circumstances(geometry, np.random.default_rng(0), np.random.default_rng(0))

    def moved(cells: FloatArray, effect: ShowerDepth | ShowerWidth) -> FloatArray:
        return np.where(dead, 0, effect(cells.copy(), none))

    def depth(shift: float) -> float:
        return float(weights @ _mean_depth(moved(plain, ShowerDepth(shift))))

    def variance(share: float) -> float:
        return float(weights @ _lateral_variance(moved(shifted, ShowerWidth(share))))

    plain: FloatArray = np.where(dead, 0, source).astype(np.float64)
    shift = _match("shift in depth", depth, float(_mean_depth(target).mean()), -1, 1)
    shifted = moved(plain, ShowerDepth(shift))
    width = _match("share to neighbours", variance, float(_lateral_variance(target).mean()), 0, 0.5)
    cells = moved(shifted, ShowerWidth(width))
    ours, theirs = weights @ _layer_shares(cells), _layer_shares(target).mean(axis=0)
    gains = np.divide(theirs, ours, out=np.ones(geometry.n_layers), where=ours > 0)
    cells *= gains[:, None]
    hits = _far_hits(cells, weights), _far_hits(target, np.full(len(target), 1 / len(target)))
    noise, threshold = _noise(*hits, target)
    return ResponseMatching(
        shift, width, tuple(gains.tolist()), noise, threshold,
        tuple((int(layer), int(cell)) for layer, cell in np.argwhere(dead)),
    )  # fmt: skip


def _check_number(name: str, electrons: npt.NDArray[np.float32]) -> None:
    if len(electrons) < _FEWEST:
        raise TrainingError(f"the {name} has {len(electrons)} electrons; a fit of the response needs {_FEWEST}")


def _match(name: str, statistic: Callable[[float], float], wanted: float, low: float, high: float) -> float:
    """Value between two limits at which a statistic is what it should be; a limit, with a warning, if it is beyond."""
    at_low, at_high = statistic(low) - wanted, statistic(high) - wanted
    if at_low * at_high >= 0:
        limit = low if abs(at_low) <= abs(at_high) else high
        log.warning("response: the %s is at its limit, %g; are these electrons in both domains?", name, limit)
        return limit
    return float(optimize.brentq(lambda value: statistic(value) - wanted, low, high, xtol=1e-5))


def _layer_shares(cells: npt.NDArray[np.floating]) -> FloatArray:
    layers = cells.sum(axis=2, dtype=np.float64)
    total = layers.sum(axis=1, keepdims=True)
    return np.divide(layers, total, out=np.zeros_like(layers), where=total > 0)


def _mean_depth(cells: npt.NDArray[np.floating]) -> FloatArray:
    return _layer_shares(cells) @ np.arange(cells.shape[1])


def _lateral_variance(cells: npt.NDArray[np.floating]) -> FloatArray:
    """Mean squared distance of the energy from the largest cell of its layer, within 5 cells, cells squared."""
    distance = np.arange(cells.shape[2]) - cells.argmax(axis=2)[:, :, None]
    near = np.where(abs(distance) <= _CORE, cells, 0)
    total = near.sum(axis=(1, 2), dtype=np.float64)
    return np.divide((near * distance**2).sum(axis=(1, 2)), total, out=np.zeros_like(total), where=total > 0)


def _far(cells: npt.NDArray[np.floating]) -> npt.NDArray[np.bool_]:
    """Which cells are far from the shower: more than 20 cells from the largest of their layer."""
    return abs(np.arange(cells.shape[2]) - cells.argmax(axis=2)[:, :, None]) > 4 * _CORE


def _far_hits(cells: npt.NDArray[np.floating], weights: FloatArray) -> float:
    """Share of the cells far from the shower that have energy."""
    far = _far(cells)
    hits, all_cells = ((chosen).sum(axis=(1, 2)) for chosen in (far & (cells > 0), far))
    return float(weights @ (hits / np.maximum(all_cells, 1)))


def _noise(before: float, wanted: float, target: npt.NDArray[np.float32]) -> tuple[float, float]:
    """Noise above a threshold, that of the target's hits, that adds the missing hits far from the shower."""
    found = target[_far(target) & (target > 0)]
    share = (wanted - before) / max(1 - before, 1e-12)
    if share <= 0 or not len(found):
        return 0.0, 0.0
    threshold = float(np.quantile(found, 0.001))
    # Half of a Gaussian is above 0: more hits than that are none of its tail.
    return float(-threshold / special.ndtri(min(share, 0.45))), threshold


def _spectrum_weights(source: FloatArray, target: FloatArray) -> FloatArray:
    """Weights of source events that make their spectrum that of the target, in ten bins with as many target events."""
    edges = np.unique(np.quantile(target, np.linspace(0, 1, 11)))
    if len(edges) < 2:
        edges = np.array([target.min() * 0.999, target.max() * 1.001])
    ours, theirs = np.histogram(source, edges)[0], np.histogram(target, edges)[0]
    ratio = np.divide(theirs, ours, out=np.zeros(len(ours)), where=ours > 0)
    inside = (source >= edges[0]) & (source <= edges[-1])
    weights = np.where(inside, ratio[np.clip(np.searchsorted(edges, source, side="right") - 1, 0, len(ours) - 1)], 0.0)
    if not weights.any():
        raise TrainingError(
            f"no electron of the source is from {edges[0]:.4g} to {edges[-1]:.4g} GeV, where those of the target are"
        )
    return weights
