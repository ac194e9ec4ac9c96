"""The physical quantities by which simulations are compared, each a value an event."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .. import variables
from ..showers import Showers
from .conditions import CELL_FLOOR
from .features import HIT_THRESHOLDS

__all__ = ["HADRONS", "QUANTITIES", "RING_EDGES", "SECOND_BUMP", "Quantity", "lateral_shares", "layer_response"]

FloatArray = npt.NDArray[np.float64]

RING_EDGES = (0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 7.0, 10.0, 15.0, 20.0, 40.0)
"""Edges of the lateral profile: distance of the middle of a cell from the track, in cells."""

SECOND_BUMP = 0.1
"""Valley of the longitudinal profile over its peak above which an event has a second bump."""


@dataclass(frozen=True)
class Quantity:
    """A value an event.

    Parameters
    ----------
    name, unit, description : str
        What it is.
    values : callable
        From showers to an array of shape (n,): numbers, or booleans whose mean is a fraction. NaN where it is not
        defined; such events do not count.
    quantiles : tuple of float
        Quantiles to compare beside the mean.
    spread : bool
        Whether to compare the width too: half of the central 68 % over the median.
    labels : tuple of str
        Species it is meant for; all unless told.
    """

    name: str
    unit: str
    description: str
    values: Callable[[Showers], npt.NDArray[np.float64] | npt.NDArray[np.bool_]]
    quantiles: tuple[float, ...] = ()
    spread: bool = False
    labels: tuple[str, ...] = ()


def _momentum(showers: Showers) -> FloatArray:
    return showers.table["momentum"].to_numpy(dtype=float)


def _interacting(showers: Showers, values: npt.ArrayLike) -> FloatArray:
    return np.where(variables.mip_like(showers), np.nan, np.asarray(values, dtype=float))


def _hits(threshold: float) -> Callable[[Showers], FloatArray]:
    return lambda showers: np.asarray(variables.hit_cells(showers, threshold), dtype=float)


_LEPTONS = ("electron", "positron", "photon")
HADRONS = ("proton", "antiproton", "pion+", "pion-", "neutron")

QUANTITIES = (
    Quantity("response", "", "sum of the cells over the momentum", lambda s: s.energies / _momentum(s), spread=True,
             labels=_LEPTONS),
    Quantity("visible fraction", "", "sum of the cells over the momentum, of those that do not cross",
             lambda s: _interacting(s, s.energies / _momentum(s)), quantiles=(0.05, 0.25, 0.5, 0.75, 0.95),
             labels=HADRONS),
    Quantity("crossing", "", "events in which the particle crosses without a shower", variables.mip_like,
             labels=HADRONS),
    Quantity("crossing energy", "MeV", "energy a layer of crossing particles, on a vertical path",
             lambda s: np.where(variables.mip_like(s), 1e3 * variables.mip_deposit(s), np.nan), quantiles=(0.5,),
             labels=HADRONS),
    Quantity("rear leakage", "", "share of the energy in the last two layers", variables.last_layers_fraction),
    Quantity("first layer", "MeV", "energy of the first layer", lambda s: 1e3 * s.layer_energies[:, 0]),
    Quantity("mean depth", "X0", "mean depth of the energy along the vertical", variables.mean_depth, spread=True),
    Quantity("start layer", "layer", "layer in which the shower starts, of those that have one", variables.start_layer),
    Quantity("core share", "", "share of the energy within one cell of the track's",
             lambda s: variables.core_fraction(s, 1, s.tracks)),
    Quantity("halo share", "", "share of the energy beyond five cells from the track",
             lambda s: variables.tail_fraction(s, 5, s.tracks)),
    Quantity("lateral rms", "mm", "rms distance of the energy from the track",
             lambda s: variables.lateral_rms(s, slice(None), s.tracks)),
    Quantity("largest cell", "", "share of the highest cell", variables.maximum_cell_fraction),
    *(Quantity(f"cells above {1e3 * t:g} MeV", "", "cells with more energy than that", _hits(t))
      for t in (CELL_FLOOR, *HIT_THRESHOLDS[1:])),
    Quantity("second bump", "", "events whose longitudinal profile has a valley of 10 % of its peak",
             lambda s: _interacting(s, variables.second_bump(s) > SECOND_BUMP)),
)  # fmt: skip
"""What `compare_quantities` compares."""


def layer_response(showers: Showers) -> FloatArray:
    """Energy of each layer over the momentum, shape (n, n_layers): the longitudinal profile of each event."""
    return showers.layer_energies / _momentum(showers)[:, None]


def lateral_shares(showers: Showers) -> FloatArray:
    """Share of each event's energy in rings about the track, all layers together, shape (n, len(RING_EDGES) - 1).

    A ring is a range of distances of the middle of a cell from the track, along the layer. NaN for an event without
    energy.
    """
    geometry = showers.geometry
    n_rings = len(RING_EDGES) - 1
    result = np.full((len(showers), n_rings), np.nan)
    start = 0
    for part in showers.batches(2000):
        distance = abs(geometry.cell_centers() - geometry.project(part.tracks)[:, :, None]) / geometry.cell_pitch
        ring = np.searchsorted(RING_EDGES[1:-1], distance, side="right")
        event = np.arange(len(part))[:, None, None]
        weight = np.where(distance < RING_EDGES[-1], part.images, 0)
        sums = np.bincount((event * n_rings + ring).ravel(), weight.ravel(), len(part) * n_rings)
        total = part.energies[:, None]
        np.divide(sums.reshape(-1, n_rings), total, out=result[start : start + len(part)], where=total > 0)
        start += len(part)
    return result
