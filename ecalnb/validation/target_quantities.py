"""The quantities of the table of published values, computed from events of one species and energy.

Nearly all are computed from the images, and from the true depth of the first interaction where the table has it. The
fraction of the energy that is deposited in all material is in homogenised events of Geant4 alone; the share of
quasi-elastic interactions is a property of the library of interactions.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.stats import skew

from .. import variables
from ..showers import Showers
from ..variables.profile import DEPTH_MAX
from .interactions import interaction_depths, interaction_length

__all__ = ["MASSES", "TARGET_QUANTITIES", "TargetQuantity", "kinetic_energies"]

FloatArray = npt.NDArray[np.float64]

MASSES = {"electron": 0.000511, "proton": 0.938272}
"""Species of the table, and their masses, GeV."""

_CONTAINED_AT_SCALE = 0.943  # of a vertical electron of 10 GeV, where the image scale is 1
_KEPT = 0.9


def kinetic_energies(showers: Showers) -> FloatArray:
    """Kinetic energy of events of one species, GeV."""
    mass = MASSES[str(showers.table["label"].iloc[0])]
    return np.sqrt(showers.table["momentum"].to_numpy(dtype=float) ** 2 + mass**2) - mass


@dataclass(frozen=True)
class TargetQuantity:
    """A quantity of the table.

    Parameters
    ----------
    unit, description : str
        What it is.
    values : callable
        From showers to values an event, shape (n,) or (n, k).
    statistic : callable
        From such values to the number; its error is that of 200 bootstrap samples of the events.
    volumes : str
        Volumes of the simulation that the events must come from.
    """

    unit: str
    description: str
    values: Callable[[Showers], FloatArray]
    statistic: Callable[[FloatArray], float]
    volumes: str = "explicit fibres"


def _gamma(showers: Showers) -> FloatArray:
    """Logarithms of T and a of the gamma fit of each shower, both parameters free."""
    fit = variables.fit_gamma_profiles(showers, rate=None)
    values: FloatArray = np.log(np.column_stack([fit.maximum, fit.shape]))
    stopped = fit.maximum > 0.999 * DEPTH_MAX
    return values[np.isfinite(values).all(axis=1) & ~stopped]


def _depths(showers: Showers) -> FloatArray:
    """Depth of the first interaction, mm; infinite where there was none.

    Without the truth NaN stands for an interaction at an unknown depth.
    """
    depths = interaction_depths(showers)
    return np.where(variables.mip_like(showers), np.inf, np.nan) if np.isnan(depths).any() else depths


def _crossed(showers: Showers) -> npt.NDArray[np.bool_]:
    return np.isinf(_depths(showers))


def _interactions(showers: Showers) -> FloatArray:
    depths = _depths(showers)
    return np.column_stack([depths, np.full(len(depths), showers.geometry.thickness)])


def _interaction_length(values: FloatArray) -> float:
    """Maximum of the likelihood; from the crossing fraction alone without true depths."""
    depths, thickness = values.T
    if not np.isnan(depths).any():
        return interaction_length(depths, thickness)[0]
    crossed = np.isinf(depths).mean()
    return float(-thickness[0] / np.log(crossed)) if 0 < crossed < 1 else np.nan


def _quasi_elastic(showers: Showers) -> FloatArray:
    """Whether a nucleon keeps 90 % of the kinetic energy, of each interaction of the library at the nearest energy.

    The library was made by Geant4 with FTFP_BERT, and the fast engine draws from it: it tells of both, and of no other.
    """
    from ..simulation.interactions import KINDS, PROJECTILES, load_interactions

    made = showers.metadata.get("provenance", {})
    if made.get("engine") not in ("fast", "geant4") or made.get("physics", "FTFP_BERT") != "FTFP_BERT":
        return np.empty(0)
    library, projectile = load_interactions(), PROJECTILES.index("p")
    sets = library.set_first[projectile] + np.arange(library.set_count[projectile])
    nearest = sets[abs(np.log(library.energy[sets] / np.median(kinetic_energies(showers)))).argmin()]
    events = library.event_first[nearest] + np.arange(library.event_count[nearest])
    kept = np.zeros(len(events))
    for index, event in enumerate(events):
        fast = slice(library.fast_first[event], library.fast_first[event + 1])
        nucleons = library.kind[fast] <= KINDS.index("n")
        kept[index] = library.kinetic[fast][nucleons].max(initial=0) / library.energy[nearest]
    return (kept > _KEPT).astype(float)


def _deposited(showers: Showers) -> FloatArray:
    energy = _scale(showers) * showers.energies / kinetic_energies(showers)
    return energy[~_crossed(showers)]


def _scale(showers: Showers) -> float:
    from ..simulation.scale import deposited_fraction

    return deposited_fraction(showers.metadata.get("provenance", {}))


def _tail_length(layers: FloatArray) -> float:
    """Length over which the mean profile falls by e in the last four layers, in published X0."""
    mean = layers.mean(axis=0)[-4:]
    step = 17.0 / layers.shape[1]
    return float(-step / np.polyfit(np.arange(4), np.log(mean), 1)[0])


def _column(index: int, function: Callable[[FloatArray], Any]) -> Callable[[FloatArray], float]:
    return lambda values: float(function(values[:, index]))


def _visible(showers: Showers) -> FloatArray:
    return 1e3 * _scale(showers) * showers.energies[~_crossed(showers)]


def _of_crossing(function: Callable[[Showers], FloatArray], showers: Showers) -> FloatArray:
    return function(showers[variables.mip_like(showers)])


def _sample_sd(values: FloatArray) -> float:
    return float(values.std(ddof=1))


_mean: Callable[[FloatArray], float] = lambda values: float(values.mean())  # noqa: E731

TARGET_QUANTITIES: dict[str, TargetQuantity] = {
    "contained": TargetQuantity("", "contained fraction; the image scale is set by its value at 10 GeV",
                                lambda s: _CONTAINED_AT_SCALE * s.energies / kinetic_energies(s), _mean),
    "mean_ln_t": TargetQuantity("", "mean of ln T, gamma fits with both parameters free", _gamma, _column(0, np.mean)),
    "sigma_ln_t": TargetQuantity("", "standard deviation of ln T", _gamma, _column(0, _sample_sd)),
    "skewness_ln_t": TargetQuantity("", "skewness of ln T", _gamma, _column(0, skew)),
    "mean_ln_a": TargetQuantity("", "mean of ln a", _gamma, _column(1, np.mean)),
    "sigma_ln_a": TargetQuantity("", "standard deviation of ln a", _gamma, _column(1, _sample_sd)),
    "correlation": TargetQuantity("", "correlation of ln T and ln a", _gamma,
                                  lambda values: float(np.corrcoef(values[:, 0], values[:, 1])[0, 1])),
    "first_layer": TargetQuantity("MeV", "mean energy of the first layer", lambda s: 1e3 * s.layer_energies[:, 0],
                                  _mean),
    "tail_length": TargetQuantity("X0", "length over which the mean profile falls by e, last four layers",
                                  lambda s: s.layer_energies, _tail_length),
    "crossing": TargetQuantity("", "fraction without an inelastic interaction", lambda s: _crossed(s).astype(float),
                               _mean),
    "interaction_length": TargetQuantity("mm", "interaction length", _interactions, _interaction_length),
    **{f"visible_{q:02d}": TargetQuantity("MeV", f"{q} % quantile of the energy in the fibres, interacting", _visible,
                                          partial(np.quantile, q=q / 100)) for q in (5, 25, 50, 75, 95)},
    **{f"deposited_{q:02d}": TargetQuantity("", f"{q} % quantile of the deposited fraction, interacting; homogenised",
                                            _deposited, partial(np.quantile, q=q / 100), "homogenised")
       for q in (5, 50, 95)},
    "quasi_elastic": TargetQuantity("", "first interactions in which a nucleon keeps 90 % of the kinetic energy",
                                    _quasi_elastic, _mean),
    "crossing_energy": TargetQuantity("MeV", "median energy in the fibres, crossing",
                                      partial(_of_crossing, lambda s: 1e3 * _scale(s) * s.energies), np.median),
    "crossing_cells": TargetQuantity("", "mean number of cells above 0.5 MeV, crossing",
                                     partial(_of_crossing, lambda s: variables.hit_cells(s, 0.5e-3)), _mean),
    "crossing_first_layer": TargetQuantity(
        "MeV", "mean energy in the fibres of the first layer, crossing",
        partial(_of_crossing, lambda s: 1e3 * _scale(s) * s.layer_energies[:, 0]), _mean),
    "crossing_last_layer": TargetQuantity(
        "MeV", "mean energy in the fibres of the last layer, crossing",
        partial(_of_crossing, lambda s: 1e3 * _scale(s) * s.layer_energies[:, -1]), _mean),
}  # fmt: skip
"""The quantities by the names that ``data/geant4_targets.toml`` uses."""
