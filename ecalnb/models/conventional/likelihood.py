"""A likelihood for electrons against protons, after AMS's: what a three-dimensional shower fit says, and its templates.

AMS's likelihood has seven main variables (energy, position of the shower maximum, direction, distance from the start to
the maximum) and nine more about the cells near the axis (A. Kounine et al., NIM A 869 (2017) 110; their names are from
"A Comparison of Deep Learning Models for Proton Background Rejection with the AMS Electromagnetic Calorimeter"). Here
are sixteen variables of the same kinds, defined anew (`LIKELIHOOD_VARIABLES`). Position and direction of the shower
have no say of their own, for they tell about the beam: they set the axis to which the templates refer, and count by
their distance from the tracker's track. With the densities f of the variables for either kind of particle
(:mod:`~ecalnb.models.conventional.densities`),

``Lambda = -2 ln [f_electron(q | E) / f_proton(q | E)]``

is low for electrons, as AMS's is, and near 0 for what is like neither, such as particles that cross without a shower
where the training had none. It is not AMS's: other variables, other densities, other training events.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from ...geometry import Tracks
from ...showers import Showers
from ...variables import (
    GammaProfiles,
    core_fraction,
    energy_near,
    fit_gamma_profiles,
    hit_cells,
    last_layers_fraction,
    maximum_cell_fraction,
    shower_axis,
    tail_fraction,
)
from .densities import EnergyDependentDensity
from .templates import LateralTemplate, LongitudinalTemplate, layer_residuals

__all__ = ["LIKELIHOOD_VARIABLES", "ShowerLikelihood"]

FloatArray = npt.NDArray[np.float64]

LIKELIHOOD_VARIABLES = {
    "energy_ratio": "ln of the energy of the gamma fit over the reconstructed energy",
    "offset": "ln of the distance between shower axis and track at the shower maximum",
    "angle": "ln of the difference of their slopes",
    "maximum": "depth of the shower maximum T0, radiation lengths along the track",
    "start_to_maximum": "the same from where 2 % of the energy are deposited",
    "hit_cells": "ln of the number of cells above 2 MeV",
    "first_layers": "ln of the energy near the axis in the first two layers, over the energy",
    "third_layer": "the same in the third layer",
    "longitudinal": "ln of the distance of the layer energies from the longitudinal template",
    "lateral_early": "ln of the distance of the cells from the lateral template, first third of the layers",
    "lateral_middle": "the same, second third",
    "lateral_late": "the same, last third",
    "core": "ln of the energy within +-1 cell of the axis, over the rest",
    "tail": "ln of the energy beyond +-5 cells of the axis, over the energy",
    "rear": "ln of the energy in the last two layers, over the energy",
    "maximum_cell": "ln of the energy in the highest cell, over the energy",
}
"""The variables of the likelihood, and what they are."""

START = 0.02
"""Share of the energy before the start of the shower."""

_BATCH = 20_000
_OFFSET_FLOOR, _ANGLE_FLOOR, _ENERGY_FLOOR, _SHARE_FLOOR = 0.1, 1e-3, 1e-3, 1e-4  # mm, -, GeV, -


@dataclass(frozen=True, eq=False)
class ShowerLikelihood:
    """Templates of electrons, and densities of the variables for electrons and protons.

    Parameters
    ----------
    longitudinal : LongitudinalTemplate
        Layer energies of electrons.
    lateral : LateralTemplate
        Cells of electrons.
    electron, proton : EnergyDependentDensity
        Densities of `LIKELIHOOD_VARIABLES`.
    """

    longitudinal: LongitudinalTemplate
    lateral: LateralTemplate
    electron: EnergyDependentDensity
    proton: EnergyDependentDensity

    @classmethod
    def fit(cls, events: Callable[[], Iterable[tuple[Showers, npt.NDArray[np.bool_]]]]) -> ShowerLikelihood:
        """Make templates and densities from training events.

        Parameters
        ----------
        events : callable
            Returns the events in parts, anew each time it is called: showers with tracks and ``en3d``, and which of
            them are electrons. They are read three times, so that memory does not grow with their images.

        Raises
        ------
        ValueError
            If electrons or protons are missing, or have no energy.
        """

        def electrons() -> Iterator[tuple[Showers, GammaProfiles, Tracks]]:
            for showers, electron in events():
                some = showers[electron]
                yield some, fit_gamma_profiles(some), shower_axis(some)

        residuals = [(layer_residuals(some, profiles), _energy(some)) for some, profiles, _ in electrons()]
        longitudinal = LongitudinalTemplate.fit(*map(np.concatenate, zip(*residuals, strict=True)))
        lateral = LateralTemplate.fit(electrons())
        parts = [(_variables(showers, longitudinal, lateral), _energy(showers), kind) for showers, kind in events()]
        values, energy, electron = map(np.concatenate, zip(*parts, strict=True))
        densities = [EnergyDependentDensity.fit(values[kind], energy[kind]) for kind in (electron, ~electron)]
        return cls(longitudinal, lateral, *densities)

    def variables(self, showers: Showers) -> pd.DataFrame:
        """Variables of the likelihood, one column for each of `LIKELIHOOD_VARIABLES`; NaN where one is not defined."""
        values = np.concatenate([self._values(part) for part in showers.batches(_BATCH)] or [np.empty((0, 16))])
        return pd.DataFrame(values, columns=list(LIKELIHOOD_VARIABLES))

    def _values(self, showers: Showers) -> FloatArray:
        return _variables(showers, self.longitudinal, self.lateral)

    def value(self, showers: Showers) -> FloatArray:
        """Lambda of each event, shape (n,): low for electrons. Finite for every event.

        Parameters
        ----------
        showers : Showers
            Events with tracks and ``en3d``.
        """
        parts = [self.value_from(self._values(part), _energy(part)) for part in showers.batches(_BATCH)]
        return np.concatenate(parts or [np.empty(0)])

    def value_from(self, values: npt.ArrayLike, energy: npt.ArrayLike) -> FloatArray:
        """Lambda from the variables, shape (n, 16), and the reconstructed energies, GeV, shape (n,)."""
        even = self.electron.log_even_density(values, energy)
        electron, proton = (kind.log_density(values, energy, even) for kind in (self.electron, self.proton))
        return -2 * (electron - proton)

    def logits(self, showers: Showers) -> FloatArray:
        """Score that is high for electrons, ln of the ratio of the densities: -Lambda / 2, shape (n,)."""
        return -self.value(showers) / 2

    def to_arrays(self) -> dict[str, FloatArray]:
        """All numbers by name."""
        parts = {name: getattr(self, name).to_arrays() for name in _PARTS}
        return {f"{part}.{name}": values for part, arrays in parts.items() for name, values in arrays.items()}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, FloatArray]) -> ShowerLikelihood:
        """Make it from the numbers that `to_arrays` gave.

        Raises
        ------
        KeyError
            If one is missing.
        """
        split: dict[str, dict[str, FloatArray]] = {part: {} for part in _PARTS}
        for name, values in arrays.items():
            part, _, rest = name.partition(".")
            split[part][rest] = values
        return cls(**{part: kind.from_arrays(split[part]) for part, kind in _PARTS.items()})


_PARTS: dict[str, Any] = {
    "longitudinal": LongitudinalTemplate,
    "lateral": LateralTemplate,
    "electron": EnergyDependentDensity,
    "proton": EnergyDependentDensity,
}


def _energy(showers: Showers) -> FloatArray:
    return showers.table["en3d"].to_numpy(dtype=float)


def _variables(showers: Showers, longitudinal: LongitudinalTemplate, lateral: LateralTemplate) -> FloatArray:
    """Values of `LIKELIHOOD_VARIABLES`, shape (n, 16)."""
    energy = _energy(showers)
    profiles, axis = fit_gamma_profiles(showers), shower_axis(showers)
    residuals = layer_residuals(showers, profiles)
    offset, angle = _track_distance(showers, profiles, axis)
    near = energy_near(showers, axis, 1.5 * showers.geometry.cell_pitch)
    core = core_fraction(showers, 1, axis)
    early, middle, late = lateral.distance(showers, profiles, axis).T
    with np.errstate(divide="ignore", invalid="ignore"):
        columns = {
            "energy_ratio": np.log(profiles.energy / energy),
            "offset": np.log(offset + _OFFSET_FLOOR),
            "angle": np.log(angle + _ANGLE_FLOOR),
            "maximum": profiles.maximum,
            "start_to_maximum": profiles.maximum - _start(showers),
            "hit_cells": np.log(hit_cells(showers) + 1),
            "first_layers": np.log((near[:, :2].sum(axis=1) + _ENERGY_FLOOR) / energy),
            "third_layer": np.log((near[:, 2] + _ENERGY_FLOOR) / energy),
            "longitudinal": np.log(longitudinal.distance(residuals, energy)),
            "lateral_early": np.log(np.maximum(early, _SHARE_FLOOR)),
            "lateral_middle": np.log(np.maximum(middle, _SHARE_FLOOR)),
            "lateral_late": np.log(np.maximum(late, _SHARE_FLOOR)),
            "core": np.log((core + _SHARE_FLOOR) / (1 - core + _SHARE_FLOOR)),
            "tail": np.log(tail_fraction(showers, 5, axis) + _SHARE_FLOOR),
            "rear": np.log(last_layers_fraction(showers) + _SHARE_FLOOR),
            "maximum_cell": np.log(maximum_cell_fraction(showers)),
        }
    values = np.column_stack([columns[name] for name in LIKELIHOOD_VARIABLES])
    return np.where(np.isfinite(values), values, np.nan)


def _track_distance(showers: Showers, profiles: GammaProfiles, axis: Tracks) -> tuple[FloatArray, FloatArray]:
    """Distance of axis and track at the shower maximum, mm along the layers, and that of their slopes, shape (n,)."""
    geometry, track = showers.geometry, showers.tracks
    # A maximum behind the calorimeter is looked at on its rear face.
    depth = np.minimum(profiles.maximum * np.cos(track.inclination), geometry.radiation_lengths)
    depth *= geometry.thickness / geometry.radiation_lengths
    slope_x, slope_y = axis.slope_x - track.slope_x, axis.slope_y - track.slope_y
    offset = np.hypot(axis.x - track.x + depth * slope_x, axis.y - track.y + depth * slope_y)
    return offset, np.hypot(slope_x, slope_y)


def _start(showers: Showers) -> FloatArray:
    """Depth along the track at which the share `START` of the energy is deposited, radiation lengths, shape (n,)."""
    geometry = showers.geometry
    layers = showers.layer_energies
    total = layers.sum(axis=1)
    before = np.cumsum(layers, axis=1)
    layer = (before >= START * total[:, None]).argmax(axis=1)
    rows = np.arange(len(layers))
    with np.errstate(divide="ignore", invalid="ignore"):  # energy spread evenly over the layer that reaches the share
        part = 1 - (before[rows, layer] - START * total) / layers[rows, layer]
    step = geometry.radiation_lengths / geometry.n_layers
    return (layer + part) * step / np.cos(showers.tracks.inclination)
