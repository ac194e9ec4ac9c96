"""Shower variables: what an image says about a shower, in numbers.

A variable takes :class:`~ecalnb.showers.Showers` and returns a value an event. It uses the image and the track, never
the truth, so that it means the same for simulated and for recorded events.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from .showers import Showers

__all__ = ["mip_like"]


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
