"""Whether a particle crosses the calorimeter without a shower, and what it leaves."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ..showers import Showers
from ._ratio import ratio

__all__ = ["crossing_probability", "mip_deposit", "mip_like"]


def mip_like(
    showers: Showers,
    *,
    energy_max: float = 0.45,
    cell_threshold: float = 0.002,
    distance: float = 1.5,
    max_off_track: int = 6,
) -> npt.NDArray[np.bool_]:
    """Events in which the particle crosses the calorimeter without a shower, like a minimum ionising particle.

    About half of all protons do: the calorimeter is about 0.6 interaction lengths deep. The default cuts are those with
    which Geant4 protons fall apart into the two kinds: little energy in all, and hardly any of it beside the track.

    Parameters
    ----------
    showers : Showers
        Events with tracks.
    energy_max : float
        Most energy in all cells, GeV.
    cell_threshold : float
        A cell off the track counts if it has more energy than this, GeV.
    distance : float
        A cell is off the track if its middle is further away than so many cells, along the layer.
    max_off_track : int
        Most cells off the track.

    Returns
    -------
    array of bool, shape (n,)
        False for an event without a track.
    """
    geometry = showers.geometry
    result = np.zeros(len(showers), dtype=bool)
    start = 0
    for part in showers.batches(5000):
        track = geometry.project(part.tracks)
        away = abs(geometry.cell_centers() - track[:, :, None]) > distance * geometry.cell_pitch
        off_track = (away & (part.images > cell_threshold)).sum(axis=(1, 2))
        known = np.isfinite(track).all(axis=1)
        result[start : start + len(part)] = known & (part.energies < energy_max) & (off_track <= max_off_track)
        start += len(part)
    return result


def crossing_probability(showers: Showers) -> npt.NDArray[np.float64]:
    """Probability that a hadron crosses without an inelastic interaction, shape (n,): exp(-L / lambda).

    L is the length of the track inside, lambda the calorimeter's depth over its published number of interaction
    lengths. NaN for an event without a track.
    """
    geometry = showers.geometry
    path = geometry.path_length(showers.tracks).sum(axis=1)
    return np.exp(-path * geometry.interaction_lengths / geometry.thickness)


def mip_deposit(showers: Showers) -> npt.NDArray[np.float64]:
    """Mean energy of a layer, scaled to a vertical path, GeV, shape (n,): what a crossing particle leaves.

    NaN for an event without a track.
    """
    geometry = showers.geometry
    path = geometry.path_length(showers.tracks).sum(axis=1)
    deposit = showers.energies * geometry.layer_thickness
    return ratio(deposit, path)
