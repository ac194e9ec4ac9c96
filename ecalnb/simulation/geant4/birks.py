"""Birks' law for the light of slow, heavy particles in the fibres, from energies that Geant4 adds up by itself.

Light for energy is ``1 / (1 + kB dE/dx)`` (J. B. Birks, Proc. Phys. Soc. A 64 (1951) 874), taken relative to minimum
ionising particles, so that showers of electrons keep their scale. Python cannot look at every step; Geant4's own
scorers can be asked for one particle in one bin of kinetic energy, with which a step begins. Protons, hydrogen and
helium isotopes have such bins, each with one factor; heavier ions, which give next to no light, have one for all. Other
particles are not quenched: pions and muons are slow only at their very end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import NamedTuple

import numpy as np

__all__ = ["FINAL_RANGE", "IONS", "KB_MAX", "SlowBin", "quenching", "slow_bins"]

KB_MAX = 1.0
"""Largest constant that makes sense, mm/MeV; plastic scintillators have 0.1 to 0.2."""
FINAL_RANGE = 0.1
"""mm. Geant4 takes a hadron with less range to its end in one step (G4EmParameters, step function)."""
_HYDROGEN = (0.0, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0)
_HELIUM = (0.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0)
EDGES = {"proton": _HYDROGEN, "deuteron": _HYDROGEN, "triton": _HYDROGEN, "He3": _HELIUM, "alpha": _HELIUM}
"""Edges of the bins of kinetic energy, MeV. Above, less than 2 % of the light is lost."""
IONS = tuple((z, a) for z, masses in ((3, (6, 9)), (4, (7, 12)), (5, (8, 14)), (6, (9, 15))) for a in range(*masses))
"""(Z, A) of the ions that carbon breaks up into, and of its recoils."""
_ION, _ION_ENERGY = "C12", 5.0  # stands for all: the light is 1 to 3 % whatever the ion and its energy


class SlowBin(NamedTuple):
    """A particle in a bin of kinetic energy, MeV; `particle` is "ion" for all ions."""

    particle: str
    low: float
    high: float

    @property
    def name(self) -> str:
        """Name of its scorer."""
        return f"{self.particle}_{self.low:g}"


def slow_bins() -> Iterator[SlowBin]:
    """All bins."""
    for particle, edges in EDGES.items():
        for low, high in pairwise(edges):
            yield SlowBin(particle, low, high)
    yield SlowBin("ion", 0.0, np.inf)


def quenching(bin_: SlowBin, birks: float, dedx: Callable[[str, float], float]) -> float:
    """Light for energy of a bin, relative to a minimum ionising particle.

    Where the range is less than `FINAL_RANGE` the particle stops in the step, so that the factor is the mean from its
    energy down to rest; above, the mean over the bin.

    Parameters
    ----------
    bin_ : SlowBin
        The bin.
    birks : float
        kB, mm/MeV.
    dedx : callable
        Stopping power of polystyrene, MeV/mm, for a particle (by Geant4's name) and a kinetic energy, MeV.
    """
    minimum = 1 + birks * dedx("proton", 2500.0)
    if bin_.particle == "ion":
        particle, low, high = _ION, 0.0, _ION_ENERGY
    else:
        particle, low, high = bin_
        middle = (low + high) / 2
        energies = _grid(0.0, middle)
        # The range is the integral of 1 / dE/dx; what lies below the first point is a few micrometres.
        if np.trapezoid(1 / _stopping(particle, energies, dedx), energies) < FINAL_RANGE:
            low, high = 0.0, middle
    energies = _grid(low, high)
    light = 1 / (1 + birks * _stopping(particle, energies, dedx))
    return min(1.0, minimum * float(np.trapezoid(light, energies) / (energies[-1] - energies[0])))


def _grid(low: float, high: float) -> np.ndarray:
    return np.geomspace(max(low, 1e-3 * high), high, 60)


def _stopping(particle: str, energies: np.ndarray, dedx: Callable[[str, float], float]) -> np.ndarray:
    return np.array([dedx(particle, energy) for energy in energies])
