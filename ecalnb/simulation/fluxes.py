"""Fluxes of cosmic rays as AMS has published them, to draw energies from and to mix particles by."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.integrate import cumulative_trapezoid

from .._toml import DATA
from .particles import Particle

__all__ = ["Flux", "published_flux"]

FloatArray = npt.NDArray[np.float64]

FILE = DATA / "fluxes.csv"
GRID = 2000  # points between the limits of a spectrum, for its integral
ENDS = 5  # points that the power law beyond the published energies is fitted to


@dataclass(frozen=True)
class Flux:
    """A published flux: straight lines through its points on double logarithmic axes, and power laws beyond them.

    Parameters
    ----------
    particle : str
        What it is the flux of.
    energy : array, shape (n,)
        Kinetic energies of the points, GeV, rising.
    flux, error : array, shape (n,)
        Differential flux in kinetic energy and its published error, 1/(m2 sr s GeV).
    """

    particle: str
    energy: FloatArray
    flux: FloatArray
    error: FloatArray

    def __call__(self, energy: npt.ArrayLike) -> FloatArray:
        """Differential flux at kinetic energies in GeV, 1/(m2 sr s GeV)."""
        x, points = np.log(np.asarray(energy, dtype=float)), np.log(self.energy)
        result = np.interp(x, points, np.log(self.flux))
        for outside, end, part in ((x < points[0], 0, slice(ENDS)), (x > points[-1], -1, slice(-ENDS, None))):
            weight = self.flux[part] / self.error[part]
            slope = np.polyfit(points[part], np.log(self.flux[part]), 1, w=weight)[0]
            result = np.where(outside, np.log(self.flux[end]) + slope * (x - points[end]), result)
        return np.exp(result)

    def integral(self, low: float, high: float) -> float:
        """Integral flux between two kinetic energies in GeV, 1/(m2 sr s)."""
        return float(self._cumulative(low, high)[1][-1])

    def sample(self, uniform: FloatArray, low: float, high: float) -> FloatArray:
        """Kinetic energies, GeV, between two limits from numbers that are uniform in 0 to 1."""
        x, cumulative = self._cumulative(low, high)
        return np.exp(np.interp(uniform * cumulative[-1], cumulative, x))

    def _cumulative(self, low: float, high: float) -> tuple[FloatArray, FloatArray]:
        x = np.linspace(np.log(low), np.log(high), GRID)
        return x, cumulative_trapezoid(self(np.exp(x)) * np.exp(x), x, initial=0)


def published_flux(particle: Particle) -> Flux:
    """Flux that AMS has published.

    The points and their sources stand in ``data/fluxes.csv``: electrons 1 GeV - 1.2 TeV, positrons 1 - 840 GeV, protons
    4 GV - 1.4 TV.

    Parameters
    ----------
    particle : Particle
        Electron, positron or proton.

    Raises
    ------
    ValueError
        If the flux of the particle is not there.
    """
    table = _table()
    if particle.name not in set(table["particle"]):
        known = ", ".join(dict.fromkeys(table["particle"]))
        raise ValueError(f"there is no published flux of {particle.name}s here; expected one of {known}")
    abscissa, flux, error = table.loc[table["particle"] == particle.name].to_numpy()[:, 1:].astype(float).T
    if particle.electromagnetic:
        return Flux(particle.name, abscissa, flux, error)
    # From rigidity, that is momentum for a unit charge, to kinetic energy: dp/dE = E / p.
    energy = np.hypot(abscissa, particle.mass)
    return Flux(particle.name, energy - particle.mass, flux * energy / abscissa, error * energy / abscissa)


@cache
def _table() -> pd.DataFrame:
    return pd.read_csv(FILE, comment="#")
