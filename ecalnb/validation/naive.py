"""A naive simulation: the control that a judge must tell from Geant4 nearly always.

It is what a textbook suggests and what early fast simulations were: a gamma profile whose two parameters fluctuate, one
lateral shape, and cells that fluctuate independently of one another. It lacks what section by section makes a shower:
the spectrum of deposits, the correlations of neighbouring cells and layers, the energy of the first layers, the tail.
Nothing in it is fitted.

References
----------
G. Grindhammer and S. Peters, hep-ex/0001020, eqs. 2.1 and appendix: fluctuating gamma profile of sampling calorimeters.
A. Kounine et al., NIM A 869 (2017) 110: lateral shape in the AMS calorimeter.
C. Adloff et al., NIM A 714 (2013) 147: materials and resolution.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.special import gammainc

from ..geometry import AMS, Calorimeter, Tracks
from ..showers import Showers
from .conditions import ValidationError

__all__ = ["naive_like", "naive_showers"]

FloatArray = npt.NDArray[np.float64]

_CRITICAL_ENERGY = 7.6e-3  # GeV
_Z = 77.4  # mean of lead (82) and plastic (5.6) by mass
_SAMPLING_FREQUENCY = 9.56 / 1.73  # radiation length over the distance of fibre rows, both mm
_E_HAT = 1 / (1 + 0.007 * (82 - 5.6))
_QUANTUM = 0.104**2  # GeV: 10.4 %/sqrt(E) as the fluctuation of a number of equal quanta
_MIP = 9.2e-3  # GeV in a vertical layer
_PDG = {"electron": 11, "positron": -11, "proton": 2212}


def naive_like(showers: Showers, *, seed: int) -> Showers:
    """Naive events at the momenta and tracks of others, event by event, with their event keys.

    Parameters
    ----------
    showers : Showers
        Electrons, positrons or protons with ``label``, ``momentum`` and tracks.
    seed : int
        Seed of the random numbers.

    Raises
    ------
    ValidationError
        If there are several species, or another one.
    """
    labels = [str(label) for label in showers.table["label"].unique()]
    if len(labels) != 1:
        raise ValidationError(f"the events are {', '.join(labels)}; the naive simulation makes one species at a time")
    made = naive_showers(
        labels[0], showers.table["momentum"].to_numpy(dtype=float), showers.tracks, seed=seed, geometry=showers.geometry
    )
    key = showers.table[[name for name in ("file_id", "entry") if name in showers.table]]
    return Showers(made.images, pd.concat([key, made.table], axis=1), made.geometry, made.metadata)


def naive_showers(
    label: str, momentum: npt.ArrayLike, tracks: Tracks, *, seed: int, geometry: Calorimeter = AMS
) -> Showers:
    """Simulate events naively.

    Electrons and positrons make one shower from the front face on. Protons cross as minimum ionising particles to an
    exponential depth; there a uniform share of 5 to 65 % of their energy makes one electromagnetic profile, three times
    as wide as an electron's.

    Parameters
    ----------
    label : {"electron", "positron", "proton"}
        The species.
    momentum : array_like, shape (n,)
        Momentum, GeV, which is also taken for the energy.
    tracks : Tracks
        Tracks of the n events.
    seed : int
        Seed of the random numbers.
    geometry : Calorimeter
        The calorimeter; materials are those of AMS.

    Raises
    ------
    ValidationError
        If the species is another one, or an energy is below 1 GeV, where the formulas do not hold.
    """
    if label not in _PDG:
        raise ValidationError(f"the naive simulation makes {', '.join(_PDG)}, not {label!r}")
    energy = np.broadcast_to(np.asarray(momentum, dtype=float), (len(tracks),))
    if not (energy >= 1).all():
        raise ValidationError(f"an energy is {energy.min():g} GeV; the naive simulation needs 1 GeV or more")
    generator = np.random.default_rng(seed)
    images = np.empty((len(tracks), *geometry.shape), np.float32)
    for start in range(0, len(tracks), 1000):
        part = slice(start, start + 1000)
        some = Tracks(*(value[part] for value in (tracks.x, tracks.y, tracks.inclination, tracks.azimuth)))
        images[part] = _images(label, energy[part], some, geometry, generator)
    table = pd.DataFrame(
        {
            "pdg": _PDG[label],
            "label": label,
            "momentum": energy,
            "en3d": images.sum(axis=(1, 2), dtype=np.float64),
            "track_x": tracks.x,
            "track_y": tracks.y,
            "track_inclination": tracks.inclination,
            "track_azimuth": tracks.azimuth,
        }
    )
    return Showers(images, table, geometry, {"simulation": "naive gamma profile, not fitted", "seed": seed})


def _images(
    label: str, energy: FloatArray, tracks: Tracks, geometry: Calorimeter, generator: np.random.Generator
) -> FloatArray:
    """Images of some events."""
    n = len(energy)
    path = geometry.thickness / np.cos(tracks.inclination)
    top = np.arange(geometry.n_layers) * geometry.layer_thickness / np.cos(tracks.inclination)[:, None]
    start, width, share = np.zeros(n), 1.0, np.ones(n)
    if label == "proton":
        start = generator.exponential(geometry.thickness / geometry.interaction_lengths, n)
        width, share = 3.0, np.where(start < path, generator.uniform(0.05, 0.65, n), 1e-6)
    profile = _profile(np.maximum(energy * share, 0.1), generator)
    per_x0 = geometry.radiation_lengths / geometry.thickness
    edges = np.column_stack([top, path])
    cumulative = profile(np.maximum(edges - start[:, None], 0) * per_x0)
    layers = np.diff(cumulative, axis=1) * (energy * share)[:, None]
    mean = layers[:, :, None] * _cell_shares(energy, tracks, geometry, width)
    if label == "proton":
        mip = _MIP * np.clip(
            (start[:, None] - top) / geometry.layer_thickness, 0, 1 / np.cos(tracks.inclination)[:, None]
        )
        mean += mip[:, :, None] * _cell_shares(energy, tracks, geometry, 0.3)
    # Cells that share nothing but their mean: a gamma distribution with the variance of Poisson quanta.
    return generator.gamma(np.maximum(mean / _QUANTUM, 1e-12), _QUANTUM)


def _profile(energy: FloatArray, generator: np.random.Generator) -> Callable[[FloatArray], FloatArray]:
    """Cumulative longitudinal profile of each shower against depth in X0 (Grindhammer and Peters, sampling)."""
    ln_y = np.log(energy / _CRITICAL_ENERGY)
    homogeneous_t = np.maximum(ln_y - 0.812, 0.1)
    homogeneous_a = np.maximum(0.81 + (0.458 + 2.26 / _Z) * ln_y, 1.1)
    mean_t = np.log(np.maximum(homogeneous_t - 0.55 / _SAMPLING_FREQUENCY - 0.69 * (1 - _E_HAT), 0.5))
    mean_a = np.log(np.maximum(homogeneous_a - 0.476 / _SAMPLING_FREQUENCY, 1.05))
    # The formulas of the spreads have poles near 70 MeV.
    sigma_t = 1 / np.maximum(-2.5 + 1.25 * ln_y, 2)
    sigma_a = 1 / np.maximum(-0.82 + 0.79 * ln_y, 2)
    rho = 0.784 - 0.023 * ln_y
    first, second = generator.standard_normal((2, len(energy)))
    t = np.exp(mean_t + sigma_t * first)
    a = np.maximum(np.exp(mean_a + sigma_a * (rho * first + np.sqrt(1 - rho**2) * second)), 1.01)
    b = (a - 1) / t
    return lambda depth: gammainc(a[:, None], b[:, None] * depth)


def _cell_shares(energy: FloatArray, tracks: Tracks, geometry: Calorimeter, width: float) -> FloatArray:
    """Share of each cell in its layer's energy, shape (n, n_layers, n_cells): rho(r) = 3 R^2 / (pi (r + R)^4)."""
    layer = np.arange(geometry.n_layers)
    factor = 0.00660 - 0.000690 * np.log(energy)
    radius = width * geometry.cell_pitch * np.maximum(factor[:, None] * layer**2 + 0.176, 0.05)
    edges = geometry.cell_edges() - geometry.project(tracks)[:, :, None]
    scaled, cumulative = _projected()
    return np.diff(np.interp(edges / radius[:, :, None], scaled, cumulative), axis=2)


@cache
def _projected() -> tuple[FloatArray, FloatArray]:
    """Cumulative distribution of x for the radial density 3/(pi (r + 1)^4), by integration over y."""
    x = np.concatenate([[0], np.geomspace(1e-3, 1e4, 400)])
    y = np.concatenate([[0], np.geomspace(1e-4, 1e5, 2000)])
    density = 2 * np.trapezoid(3 / np.pi / (np.hypot(x[:, None], y) + 1) ** 4, y, axis=1)
    half = np.concatenate([[0], np.cumsum(np.diff(x) * (density[1:] + density[:-1]) / 2)])
    half *= 0.5 / half[-1]
    return np.concatenate([-x[:0:-1], x]), np.concatenate([0.5 - half[:0:-1], 0.5 + half])
