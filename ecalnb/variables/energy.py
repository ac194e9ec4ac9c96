"""Reconstructed energy: that of the shower under the electron hypothesis, corrected for what leaves the calorimeter.

A calorimeter of 17 radiation lengths loses energy through its back: 3 % of a 10 GeV shower, and more of each larger
one. The loss of a single shower shows in its last layers, because behind its maximum a shower falls steadily, whatever
its energy. AMS corrects with the fraction of the energy in the last layers (C. Adloff et al., NIM A 714 (2013) 147; AMS
Collaboration, Physics Reports 894 (2021) 1, sec. 1.7.1). Here

``E = E_dep k (1 + r1 q + r2 q^2 + s p)``

with the sum of all cells ``E_dep``, the fraction ``q`` of it in each radiation length of the last two layers, along the
track, and the fraction ``p`` in the two outermost cells on either side of the layers, for what leaves through the
sides. The second power of ``q`` is there because the nearer the end is to the maximum, the more slowly the shower still
falls there; the first two terms of the series are enough for gamma distributions up to several TeV. Neither fraction
depends on the energy in any other way, so the correction extrapolates.

The parameters are fitted to Geant4 electrons by :mod:`ecalnb.variables.fit_energy` and stand, with what they were
fitted to, in ``ecalnb/data/energy.toml``.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from .._toml import DATA, check_keys, read_toml
from ..showers import Showers

__all__ = ["EnergyParameters", "leakage_fractions", "reconstructed_energy"]

FloatArray = npt.NDArray[np.float64]

REAR_LAYERS, SIDE_CELLS = 2, 2


@dataclass(frozen=True)
class EnergyParameters:
    """Parameters of `reconstructed_energy`.

    Parameters
    ----------
    scale : float
        k: energy over the sum of the cells for a shower of which nothing leaves.
    rear_linear : float
        r1, radiation lengths.
    rear_quadratic : float
        r2, radiation lengths squared.
    side : float
        s.
    rear_max, side_max : float
        Largest q (per radiation length) and p that occur in electrons: beyond, as in showers of late protons, the
        correction stays what it is there.

    Raises
    ------
    ValueError
        If a number is not finite, or scale or a maximum is not positive.
    """

    scale: float
    rear_linear: float
    rear_quadratic: float
    side: float
    rear_max: float
    side_max: float

    def __post_init__(self) -> None:
        for name in (field.name for field in fields(self)):
            value = getattr(self, name)
            if not np.isfinite(value) or (name in ("scale", "rear_max", "side_max") and value <= 0):
                raise ValueError(f"{name} of the reconstructed energy is {value!r}; expected a finite, positive number")

    @classmethod
    def read(cls, path: str | Path | None = None) -> EnergyParameters:
        """Read the table ``[correction]`` of a parameter file; the packaged one unless told.

        Raises
        ------
        FileNotFoundError, ValueError
            If there is no such file, it is no TOML, or a parameter is missing or unknown.
        """
        path = DATA / "energy.toml" if path is None else Path(path)
        values = read_toml(path).get("correction", {})
        names = [field.name for field in fields(cls)]
        check_keys(values, names, f"{path}, [correction]", required=names)
        return cls(**{name: float(value) for name, value in values.items()})


@cache
def _packaged() -> EnergyParameters:
    return EnergyParameters.read()


def leakage_fractions(showers: Showers) -> tuple[FloatArray, FloatArray]:
    """Fractions of the energy that tell how much leaves the calorimeter.

    Returns
    -------
    rear : array, shape (n,)
        Fraction in the last two layers, for each published radiation length of the track there. NaN for an event
        without a track.
    side : array, shape (n,)
        Fraction in the two outermost cells on either side of all layers.

    Both are 0 for an event without energy.
    """
    geometry = showers.geometry
    layers = showers.layer_energies
    outer = np.concatenate([showers.images[..., :SIDE_CELLS], showers.images[..., -SIDE_CELLS:]], axis=2)
    energy = layers.sum(axis=1)
    depth = geometry.radiation_lengths * REAR_LAYERS / geometry.n_layers / np.cos(showers.tracks.inclination)
    inverse = np.divide(1.0, energy, out=np.zeros(len(showers)), where=energy > 0)
    return layers[:, -REAR_LAYERS:].sum(axis=1) / depth * inverse, outer.sum(axis=(1, 2), dtype=float) * inverse


def reconstructed_energy(showers: Showers, parameters: EnergyParameters | None = None) -> FloatArray:
    """Energy of each shower under the electron hypothesis, corrected for rear and side leakage; ``en3d``.

    The formula and its source are in :mod:`ecalnb.variables.energy`. It holds for tracks that leave through the back:
    for one that leaves through a side, most of the loss is not seen.

    Parameters
    ----------
    showers : Showers
        Events with tracks.
    parameters : EnergyParameters, optional
        The packaged ones unless told. They hold for images in the scale of the packaged events.

    Returns
    -------
    array, shape (n,)
        GeV. 0 for an event without energy, NaN without a track.
    """
    chosen = _packaged() if parameters is None else parameters
    rear, side = leakage_fractions(showers)
    rear, side = np.minimum(rear, chosen.rear_max), np.minimum(side, chosen.side_max)
    correction = 1 + chosen.rear_linear * rear + chosen.rear_quadratic * rear**2 + chosen.side * side
    return showers.energies * chosen.scale * correction
