"""Reconstruction of simulated events that a detector has seen."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ..showers import Showers
from ..variables import reconstructed_energy, shower_axis

__all__ = ["energy_with_any_axis"]


def energy_with_any_axis(showers: Showers) -> npt.NDArray[np.float64]:
    """Reconstructed energy, ``en3d``, with the shower's own axis where there is no tracker track, as of photons.

    Parameters
    ----------
    showers : Showers
        Events with the columns of the track, NaN where there is none.

    Returns
    -------
    array, shape (n,)
        GeV; a shower that is too small for an axis counts as vertical.
    """
    energy = reconstructed_energy(showers)
    without = np.isnan(energy)
    if without.any():
        own = showers[without]
        own.table["track_inclination"] = np.nan_to_num(shower_axis(own).inclination)
        energy[without] = reconstructed_energy(own)
    return energy
