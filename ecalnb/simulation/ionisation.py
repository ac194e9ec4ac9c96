"""Ionisation by charged hadrons: energy loss in the calorimeter, and what of it is left in the fibres.

Fibres are met one by one, row by row, with the chord of the track in each: that gives the fluctuations from cell to
cell and from layer to layer that a crossing particle has, and the sharing between cells of an inclined track.
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.stats import landau

from .._compiled import jit

__all__ = [
    "FIBRE_PITCH",
    "FIBRE_RADIUS",
    "KNOCK_ON_MIN",
    "KNOCK_ON_RATE",
    "ROWS_PER_LAYER",
    "ROW_HEIGHT",
    "Ionisation",
    "draw_knock_on",
    "draw_loss",
    "in_fibre",
    "knock_on_rate",
    "largest_transfer",
    "load_ionisation",
    "stopping",
]

FIBRE_RADIUS = 0.5
"""mm."""
FIBRE_PITCH = 9.0 / 7.0
"""Distance of fibres of a row, mm: of the simulated lattice, in which a cell holds a whole number of fibres."""
ROWS_PER_LAYER, ROW_HEIGHT = 5, 1.85
"""Rows of fibres in a layer, and their distance in mm; neighbouring rows are staggered by half a pitch."""

KNOCK_ON_MIN = 0.00025
"""Energy, GeV, above which an electron knocked out of the lead is followed by itself."""
KNOCK_ON_RATE = 0.0438e-3
"""Electrons above an energy T (GeV) that a fast particle knocks out of a mm of the calorimeter, times T."""

_ELECTRON_MASS = 0.51099895e-3
_K = 0.307075e-3  # GeV cm2 / mol

# Z/A, density g/cm3, mean excitation energy eV and density-effect parameters (Cbar, x0, x1, a, k):
# Sternheimer, Berger and Seltzer, At. Data Nucl. Data Tables 30 (1984) 261
_LEAD = (0.39575, 11.35, 823.0, 6.2018, 0.3776, 3.8073, 0.09359, 3.1608)
_POLYSTYRENE = (0.53768, 1.06, 68.7, 3.2999, 0.1647, 2.5031, 0.16454, 3.2224)
_GLUE = (0.53, 1.15, 72.0, 3.3, 0.16, 2.5, 0.1645, 3.22)  # epoxy, taken as a plastic of its composition
_VOLUMES = ((_LEAD, 1.0), (_POLYSTYRENE, 0.57), (_GLUE, 0.15))  # Adloff et al., NIM A 714 (2013) 147

_LOG_FIRST, _LOG_STEP, _N_NODES = np.log(0.02), 0.04, 420
_QUANTILES = 2048


class Ionisation(NamedTuple):
    """Tables of stopping powers against ln(beta gamma), and of the Landau distribution.

    Parameters
    ----------
    mixture, fibre : array, shape (n_nodes,)
        Mean energy loss of a particle of unit charge, GeV/mm: all of it in the calorimeter; in a fibre, that by
        transfers below `KNOCK_ON_MIN`.
    landau : array, shape (n_quantiles,)
        Landau variable at equidistant probabilities (middle of each interval), cut off, less its mean.
    """

    mixture: npt.NDArray[np.float64]
    fibre: npt.NDArray[np.float64]
    landau: npt.NDArray[np.float64]


def _bethe(beta_gamma: npt.NDArray[np.float64], material: tuple[float, ...], cut: float) -> npt.NDArray[np.float64]:
    """Mean energy loss by transfers below ``cut`` (GeV), GeV/mm.

    PDG, Passage of particles through matter, eq. 34.11, without shell corrections.
    """
    z_over_a, density, excitation, c_bar, x0, x1, a, k = material
    gamma = np.sqrt(1 + beta_gamma**2)
    beta2 = beta_gamma**2 / gamma**2
    largest = largest_transfer(beta_gamma)
    cut_off = np.minimum(cut, largest)
    x = np.log10(beta_gamma)
    delta = np.where(x >= x0, 2 * np.log(10) * x - c_bar + a * np.maximum(x1 - x, 0) ** k, 0.0)
    logarithm = 0.5 * np.log(2 * _ELECTRON_MASS * beta_gamma**2 * cut_off / (excitation * 1e-9) ** 2)
    loss = _K * z_over_a / beta2 * (logarithm - beta2 / 2 * (1 + cut_off / largest) - delta / 2)
    return np.maximum(loss, 0.0) * density / 10


@cache
def load_ionisation(landau_max: float) -> Ionisation:
    """Tables for the materials of the calorimeter (Bragg's rule for the mixture).

    Parameters
    ----------
    landau_max : float
        Where the Landau variable is cut off.
    """
    beta_gamma = np.exp(_LOG_FIRST + _LOG_STEP * np.arange(_N_NODES))
    total = sum(volume for _, volume in _VOLUMES)
    mixture = sum(volume / total * _bethe(beta_gamma, material, np.inf) for material, volume in _VOLUMES)
    # scipy's variable is that of the stable distributions, 2/pi of Landau's and shifted
    landau_variable = landau(loc=np.log(np.pi / 2), scale=np.pi / 2)
    quantiles = landau_variable.ppf((np.arange(_QUANTILES) + 0.5) / _QUANTILES * landau_variable.cdf(landau_max))
    fibre = _bethe(beta_gamma, _POLYSTYRENE, KNOCK_ON_MIN)
    return Ionisation(np.asarray(mixture), fibre, quantiles - quantiles.mean())


def in_fibre(coordinate: float, depth: float) -> bool:
    """Whether a place is in a fibre.

    Parameters
    ----------
    coordinate : float
        mm from the middle, across the fibres.
    depth : float
        mm from the front face.
    """
    row = int(depth // ROW_HEIGHT)
    shift = 0.5 if row % 2 == 0 else 0.0
    away = (coordinate / FIBRE_PITCH - shift + 0.5) % 1.0 - 0.5
    above = depth - (row + 0.5) * ROW_HEIGHT
    return bool((away * FIBRE_PITCH) ** 2 + above**2 < FIBRE_RADIUS**2)


@jit
def stopping(table: npt.NDArray[np.float64], kinetic: float, mass: float) -> float:  # pragma: no cover - compiled
    """Mean energy loss, GeV/mm, of a particle with a kinetic energy and a mass, GeV."""
    square = kinetic * (kinetic + 2 * mass) / (mass * mass)
    position = (0.5 * np.log(max(square, 1e-12)) - _LOG_FIRST) / _LOG_STEP
    if position <= 0:
        return table[0]
    node = int(position)
    if node >= _N_NODES - 1:
        return table[_N_NODES - 1]
    share = position - node
    return table[node] * (1 - share) + table[node + 1] * share


@jit
def largest_transfer(beta_gamma):  # type: ignore[no-untyped-def]
    """Largest energy, GeV, that a nucleon can give to an electron (PDG, eq. 34.4); that of lighter hadrons is near."""
    ratio = _ELECTRON_MASS / 0.938272
    return 2 * _ELECTRON_MASS * beta_gamma**2 / (1 + 2 * np.sqrt(1 + beta_gamma**2) * ratio + ratio**2)


@jit
def knock_on_rate(above, kinetic, mass):  # type: ignore[no-untyped-def]
    """Electrons of more than ``above`` GeV that a particle knocks out of a mm of the calorimeter."""
    square = kinetic * (kinetic + 2 * mass) / (mass * mass)
    largest = largest_transfer(np.sqrt(square))
    return KNOCK_ON_RATE * (1 + square) / square * max(1 / above - 1 / largest, 0.0)


@jit
def draw_knock_on(above, kinetic, mass, generator):  # type: ignore[no-untyped-def]
    """Energy, GeV, of an electron knocked out: 1/T^2 (1 - beta^2 T / T_max) above ``above``; 0 if it was refused."""
    square = kinetic * (kinetic + 2 * mass) / (mass * mass)
    largest = largest_transfer(np.sqrt(square))
    energy = above / (1 - generator.random() * (1 - above / largest))
    refused = generator.random() < square / (1 + square) * energy / largest
    return 0.0 if refused else energy


@jit
def draw_loss(path, mean, kinetic, mass, table, generator):  # type: ignore[no-untyped-def]
    """Draw the energy left on a path (mm) in fibres, whose mean is ``mean`` (GeV).

    Landau's distribution for fast particles, cut off where electrons leave the fibre and with the mean kept; a normal
    distribution where the largest transfer to an electron is small against the mean loss.
    """
    square = kinetic * (kinetic + 2 * mass) / (mass * mass)
    gamma2 = 1 + square
    beta2 = square / gamma2
    width = 0.5 * _K * 0.53768 * 0.106 * path / beta2
    largest = largest_transfer(np.sqrt(square))
    if width > 0.1 * largest:
        spread = np.sqrt(width * largest * (1 - beta2 / 2))
        return max(mean + spread * generator.standard_normal(), 0.0)
    return max(mean + width * table.landau[int(generator.random() * _QUANTILES)], 0.05 * mean)
