"""What an electron of given energy and axis leaves in layers and cells, and how far a shower is from it.

Longitudinal
    The layer energies of the gamma distribution with b = 0.65 and a = 1 + b T0 that is fitted to the event
    (:mod:`ecalnb.variables.profile`; A. Kounine et al., NIM A 869 (2017) 110). Electrons depart from it in a way of
    their own, above all in the first layers. So the residuals ``r_l = ln((E_l + e) / (mu_l + e))``, with e = 10 MeV
    for layers with next to nothing, have a mean and a spread that depend on the energy, and are correlated. The
    distance is ``D = rho^T C^-1 rho / n_layers`` of the standardised residuals rho; it is 1 on average for electrons.
Lateral
    The share of a cell at a distance from the axis, for a core and a tail with densities
    ``R^2 / (pi (r^2 + R^2)^2)`` of the distance r in space (G. Grindhammer and S. Peters, hep-ex/0001020, eq. 8).
    Projected on the coordinate d that a layer measures, the integral is ``(1 + d / sqrt(d^2 + R^2)) / 2``. The weight
    of the core and both radii depend on the age ``tau = t / T0`` of the shower in the layer, and hardly on the energy.
    The distance is the relative entropy of the cells, ``D = sum_c e_c ln(e_c / (E_l q_c)) / sum_l E_l``: the deviance
    of a multinomial distribution of equal quanta of energy, a quantum of energy. It falls like 1/E for electrons, whose
    cells fluctuate about the template, and not for others.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize
from scipy.special import expit, gammainc

from ..._compiled import jit
from ...geometry import Tracks
from ...showers import Showers
from ...variables import GammaProfiles
from ...variables.profile import LAYER_FLOOR
from .standardisation import Standardisation

__all__ = ["LateralTemplate", "LongitudinalTemplate", "expected_layers", "layer_residuals", "shower_age"]

FloatArray = npt.NDArray[np.float64]

_AGE_EDGES = np.array([0.0, 0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 1.75, 2.0, 2.5, 3.0])
_DISTANCE_MAX, _DISTANCE_STEP = 180.0, 1.0  # mm


def expected_layers(showers: Showers, profiles: GammaProfiles) -> FloatArray:
    """Layer energies of the fitted gamma distributions, scaled to the energy in the cells, GeV, shape (n, n_layers).

    NaN for an event without a fit.
    """
    geometry = showers.geometry
    edges = np.arange(geometry.n_layers + 1) * geometry.radiation_lengths / geometry.n_layers
    depth = edges / np.cos(showers.tracks.inclination)[:, None]
    parts = np.diff(gammainc(profiles.shape[:, None], profiles.rate[:, None] * depth), axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return parts / parts.sum(axis=1, keepdims=True) * showers.energies[:, None]


def layer_residuals(showers: Showers, profiles: GammaProfiles) -> FloatArray:
    """Logarithm of layer energies over those of the fit, shape (n, n_layers); NaN for an event without a fit."""
    return np.log((showers.layer_energies + LAYER_FLOOR) / (expected_layers(showers, profiles) + LAYER_FLOOR))


def shower_age(showers: Showers, profiles: GammaProfiles) -> FloatArray:
    """Depth of the layers over that of the shower maximum, both along the track, shape (n, n_layers)."""
    depth = showers.geometry.layer_depths_x0 / np.cos(showers.tracks.inclination)[:, None]
    return depth / np.maximum(profiles.maximum, 0.1)[:, None]


@dataclass(frozen=True, eq=False)
class LongitudinalTemplate:
    """How the layer energies of electrons depart from their gamma distribution.

    Parameters
    ----------
    standardisation : Standardisation
        Mean and spread of the residual of each layer.
    correlation : array, shape (n_layers, n_layers)
        Correlation matrix of the standardised residuals.
    """

    standardisation: Standardisation
    correlation: FloatArray

    @classmethod
    def fit(cls, residuals: FloatArray, energy: FloatArray) -> LongitudinalTemplate:
        """Fit it to the `layer_residuals` of electrons of reconstructed ``energy``, GeV."""
        standardisation = Standardisation.fit(residuals, energy)
        rho = _clipped(standardisation(residuals, energy))
        rho = rho[np.isfinite(rho).all(axis=1)]
        n, k = rho.shape
        # As if one event more had no correlation, so that the matrix can be inverted whatever the sample.
        return cls(standardisation, (rho.T @ rho + np.eye(k)) / (n + 1))

    def distance(self, residuals: FloatArray, energy: FloatArray) -> FloatArray:
        """Distance D of events, shape (n,); NaN where a residual is."""
        rho = _clipped(self.standardisation(residuals, energy))
        return np.einsum("ni,ij,nj->n", rho, np.linalg.inv(self.correlation), rho, optimize=True) / rho.shape[1]

    def to_arrays(self) -> dict[str, FloatArray]:
        """All numbers by name."""
        return {**self.standardisation.to_arrays(), "correlation": self.correlation}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, FloatArray]) -> LongitudinalTemplate:
        """Make it from the numbers that `to_arrays` gave."""
        return cls(Standardisation.from_arrays(arrays), arrays["correlation"])


def _clipped(rho: FloatArray) -> FloatArray:
    """Residuals of at most ten spreads, so that a single layer does not decide by how far it is beyond them."""
    return np.clip(rho, -10, 10)


@dataclass(frozen=True, eq=False)
class LateralTemplate:
    """Core and tail of electrons about their axis, as functions of the age of the shower.

    Parameters
    ----------
    age : array, shape (m,)
        Where the others are given, rising; linear in between, constant outside.
    core_weight : array, shape (m,)
        Share of the core.
    core_radius, tail_radius : array, shape (m,)
        R of core and tail, mm.
    """

    age: FloatArray
    core_weight: FloatArray
    core_radius: FloatArray
    tail_radius: FloatArray

    @classmethod
    def fit(cls, parts: Iterable[tuple[Showers, GammaProfiles, Tracks]]) -> LateralTemplate:
        """Fit it to electrons.

        Parameters
        ----------
        parts : iterable of (Showers, GammaProfiles, Tracks)
            Electrons, their fitted profiles and their axes. Each event counts the same, whatever its energy.

        Raises
        ------
        ValueError
            If there is no energy near the axes.
        """
        n_ages, n_distances = len(_AGE_EDGES) - 1, int(_DISTANCE_MAX / _DISTANCE_STEP)
        profile, ages, pitch = np.zeros((n_ages, n_distances)), np.zeros((2, n_ages)), 0.0
        for showers, profiles, axis in parts:
            pitch = showers.geometry.cell_pitch
            age = shower_age(showers, profiles)
            number = np.where(np.isfinite(age), np.searchsorted(_AGE_EDGES, age, side="right") - 1, -1)
            number[number >= n_ages] = -1
            share = showers.layer_energies / np.maximum(showers.energies, 1e-12)[:, None]
            for sums, weight in zip(ages, (share, share * np.nan_to_num(age)), strict=True):
                sums += np.bincount(number[number >= 0], weight[number >= 0], minlength=n_ages)
            centers = showers.geometry.cell_centers()
            _add_profile(showers.images, showers.geometry.project(axis), centers, number, _DISTANCE_STEP, profile)
        used = np.flatnonzero(profile.sum(axis=1) > 1e-3 * profile.sum())
        if not len(used):
            raise ValueError("the electrons have no energy near their axes; there is nothing to fit a template to")
        distance = (np.arange(n_distances, dtype=np.float64) + 0.5) * _DISTANCE_STEP
        parameters = np.array([_fit_core_and_tail(profile[i], distance, pitch) for i in used])
        return cls(ages[1, used] / ages[0, used], *parameters.T)

    def at(self, age: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Weight of the core and both radii (mm) at ages of any shape."""
        columns = (self.core_weight, self.core_radius, self.tail_radius)
        weight, core, tail = (np.interp(age, self.age, column) for column in columns)
        return weight, core, tail

    def distance(self, showers: Showers, profiles: GammaProfiles, axis: Tracks, groups: int = 3) -> FloatArray:
        """Distance D in consecutive groups of layers, shape (n, groups).

        NaN without a fit or an axis, or where the layers of a group have no energy.
        """
        n_layers = showers.geometry.n_layers
        group = np.arange(n_layers) * groups // n_layers
        template = np.stack(self.at(shower_age(showers, profiles)))
        result = np.full((len(showers), groups), np.nan)
        positions, edges = showers.geometry.project(axis), showers.geometry.cell_edges()
        _relative_entropy(showers.images, positions, edges, template, group, result)
        return result

    def to_arrays(self) -> dict[str, FloatArray]:
        """All numbers by name."""
        return dict(vars(self))

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, FloatArray]) -> LateralTemplate:
        """Make it from the numbers that `to_arrays` gave."""
        return cls(**arrays)


def _fit_core_and_tail(profile: FloatArray, distance: FloatArray, pitch: float) -> FloatArray:
    """Weight of the core and both radii that fit a profile of cell energies best."""

    def share(parameters: FloatArray) -> FloatArray:
        weight, core, tail = _natural(parameters)
        high, low = distance + pitch / 2, distance - pitch / 2
        core_part = high / np.hypot(high, core) - low / np.hypot(low, core)
        tail_part = high / np.hypot(high, tail) - low / np.hypot(low, tail)
        expected = weight * core_part + (1 - weight) * tail_part
        return expected / expected.sum()

    # Bounds: the core is smaller than a few cells, and the tail wider than the core.
    result = minimize(
        lambda parameters: -float(profile @ np.log(share(parameters)) / profile.sum()),
        np.log([4.0, 3.0, 5.0]),
        bounds=[(-5, 5), np.log([0.1, 50.0]), np.log([1.5, 100.0])],
        method="L-BFGS-B",
    )
    return np.array(_natural(result.x))


def _natural(parameters: FloatArray) -> tuple[float, float, float]:
    """Weight, core and tail radius from logit of the weight, ln of the core radius, ln of the ratio of the radii."""
    core = float(np.exp(parameters[1]))
    return float(expit(parameters[0])), core, core * float(np.exp(parameters[2]))


@jit
def _add_profile(images, positions, centers, number, step, profile):  # type: ignore[no-untyped-def]
    for event in range(images.shape[0]):
        total = images[event].sum()
        if not total > 0:
            continue
        for layer in range(images.shape[1]):
            age, position = number[event, layer], positions[event, layer]
            if age < 0 or not abs(position) < 1e9:
                continue
            for cell in range(images.shape[2]):
                distance = int(abs(centers[cell] - position) / step)
                if distance < profile.shape[1]:
                    profile[age, distance] += images[event, layer, cell] / total


@jit
def _relative_entropy(images, positions, edges, template, group, result):  # type: ignore[no-untyped-def]
    n_groups = result.shape[1]
    entropy, energy = np.empty(n_groups), np.empty(n_groups)
    last = len(edges) - 1
    for event in range(images.shape[0]):
        entropy[:] = 0.0
        energy[:] = 0.0
        known = True
        for layer in range(images.shape[1]):
            x, p = positions[event, layer], template[0, event, layer]
            core2, tail2 = template[1, event, layer] ** 2, template[2, event, layer] ** 2
            if not (abs(x) < 1e9 and p >= 0):
                known = False
                break
            row = images[event, layer]
            total = 0.0
            for cell in range(last):
                total += row[cell]
            if not total > 0:
                continue
            low, high = edges[0] - x, edges[last] - x
            inside = p * (high / np.sqrt(high * high + core2) - low / np.sqrt(low * low + core2))
            inside += (1 - p) * (high / np.sqrt(high * high + tail2) - low / np.sqrt(low * low + tail2))
            for cell in range(last):
                e = row[cell]
                if e > 0:
                    low, high = edges[cell] - x, edges[cell + 1] - x
                    q = p * (high / np.sqrt(high * high + core2) - low / np.sqrt(low * low + core2))
                    q += (1 - p) * (high / np.sqrt(high * high + tail2) - low / np.sqrt(low * low + tail2))
                    entropy[group[layer]] += e * np.log(e / total * max(inside, 1e-12) / max(q, 1e-12))
            energy[group[layer]] += total
        if known:
            for i in range(n_groups):
                if energy[i] > 0:
                    result[event, i] = entropy[i] / energy[i]
