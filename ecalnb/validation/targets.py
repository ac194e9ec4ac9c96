"""Published values of a Geant4 study, beside what the engines of this package give.

The values stand in ``data/geant4_targets.toml`` with their source. They are for vertical electrons and protons of 10
and 100 GeV; the quantities are computed from images of such events, and from the true depth of the first interaction
where the table has it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.stats import skew

from .. import variables
from .._toml import DATA, check_keys, read_toml
from ..showers import Showers
from ..variables.profile import DEPTH_MAX
from .conditions import ValidationError

__all__ = ["FIBRE_FRACTION", "TARGET_QUANTITIES", "load_targets", "target_table"]

FloatArray = npt.NDArray[np.float64]

FIBRE_FRACTION = 0.0663
"""Energy in the fibres over that of the image: the scale that gives 10 GeV for a vertical electron of 10 GeV.

That of the packaged events; the scale of the package's own Geant4 engine is 0.8 % higher, which is not corrected for.
"""

_CONTAINED_AT_SCALE = 0.943  # of a vertical electron of 10 GeV, where the image scale is 1
_MASSES = {"electron": 0.000511, "proton": 0.938272}
_VERTICAL = 0.02  # rad
_BOOTSTRAP = 200
_MINIMUM = 50


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
    """

    unit: str
    description: str
    values: Callable[[Showers], FloatArray]
    statistic: Callable[[FloatArray], float]


def _energy(showers: Showers) -> FloatArray:
    """Kinetic energy, GeV."""
    mass = _MASSES[str(showers.table["label"].iloc[0])]
    return np.sqrt(showers.table["momentum"].to_numpy(dtype=float) ** 2 + mass**2) - mass


def _gamma(showers: Showers) -> FloatArray:
    """Logarithms of T and a of the gamma fit of each shower, both parameters free."""
    fit = variables.fit_gamma_profiles(showers, rate=None)
    values: FloatArray = np.log(np.column_stack([fit.maximum, fit.shape]))
    stopped = fit.maximum > 0.999 * DEPTH_MAX
    return values[np.isfinite(values).all(axis=1) & ~stopped]


def _crossed(showers: Showers) -> npt.NDArray[np.bool_]:
    if "interaction_depth" in showers.table:
        return showers.table["interaction_depth"].isna().to_numpy()
    return variables.mip_like(showers)


def _interaction_depth(showers: Showers) -> FloatArray:
    """Depth of the first interaction and thickness, mm; infinite for an event that crossed, NaN if it is not known."""
    depth = np.where(_crossed(showers), np.inf, np.nan)
    if "interaction_depth" in showers.table:
        depth = np.where(np.isinf(depth), depth, showers.table["interaction_depth"].to_numpy(dtype=float))
    return np.column_stack([depth, np.full(len(depth), showers.geometry.thickness)])


def _interaction_length(values: FloatArray) -> float:
    """Maximum likelihood of an exponential cut off at the thickness; from the crossing fraction without true depths."""
    depth, thickness = values[:, 0], float(values[0, 1])
    crossed = np.isinf(depth)
    if np.isnan(depth).any():
        return float(-thickness / np.log(crossed.mean())) if 0 < crossed.mean() < 1 else np.nan
    return float(np.minimum(depth, thickness).sum() / max((~crossed).sum(), 1))


def _tail_length(layers: FloatArray) -> float:
    """Length over which the mean profile falls by e in the last four layers, in published X0."""
    mean = layers.mean(axis=0)[-4:]
    step = 17.0 / layers.shape[1]
    return float(-step / np.polyfit(np.arange(4), np.log(mean), 1)[0])


def _column(index: int, function: Callable[[FloatArray], Any]) -> Callable[[FloatArray], float]:
    return lambda values: float(function(values[:, index]))


def _visible(showers: Showers) -> FloatArray:
    return 1e3 * FIBRE_FRACTION * showers.energies[~_crossed(showers)]


def _of_crossing(function: Callable[[Showers], FloatArray], showers: Showers) -> FloatArray:
    return function(showers[variables.mip_like(showers)])


def _sample_sd(values: FloatArray) -> float:
    return float(values.std(ddof=1))


_mean: Callable[[FloatArray], float] = lambda values: float(values.mean())  # noqa: E731

TARGET_QUANTITIES: dict[str, TargetQuantity] = {
    "contained": TargetQuantity("", "contained fraction; the image scale is set by its value at 10 GeV",
                                lambda s: _CONTAINED_AT_SCALE * s.energies / _energy(s), _mean),
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
    "interaction_length": TargetQuantity("mm", "interaction length", _interaction_depth, _interaction_length),
    **{f"visible_{q:02d}": TargetQuantity("MeV", f"{q} % quantile of the energy in the fibres, interacting", _visible,
                                          partial(np.quantile, q=q / 100)) for q in (5, 25, 50, 75, 95)},
    "crossing_energy": TargetQuantity("MeV", "median energy in the fibres, crossing",
                                      partial(_of_crossing, lambda s: 1e3 * FIBRE_FRACTION * s.energies), np.median),
    "crossing_cells": TargetQuantity("", "mean number of cells above 0.5 MeV, crossing",
                                     partial(_of_crossing, lambda s: variables.hit_cells(s, 0.5e-3)), _mean),
    "crossing_first_layer": TargetQuantity(
        "MeV", "mean energy in the fibres of the first layer, crossing",
        partial(_of_crossing, lambda s: 1e3 * FIBRE_FRACTION * s.layer_energies[:, 0]), _mean),
    "crossing_last_layer": TargetQuantity(
        "MeV", "mean energy in the fibres of the last layer, crossing",
        partial(_of_crossing, lambda s: 1e3 * FIBRE_FRACTION * s.layer_energies[:, -1]), _mean),
}  # fmt: skip
"""The quantities by the names that ``data/geant4_targets.toml`` uses."""


@cache
def load_targets() -> tuple[str, pd.DataFrame]:
    """Source of the published values, and the values: ``label``, ``energy`` (GeV), ``quantity``, ``low``, ``high``."""
    path = DATA / "geant4_targets.toml"
    content = read_toml(path)
    rows = []
    for label in ("electron", "proton"):
        for energy, values in content[label].items():
            check_keys(values, TARGET_QUANTITIES, f"{path}, [{label}.{energy}]")
            for quantity, value in values.items():
                low, high = value if isinstance(value, list) else (value, value)
                rows.append((label, float(energy), quantity, float(low), float(high)))
    return content["source"], pd.DataFrame(rows, columns=["label", "energy", "quantity", "low", "high"])


def target_table(samples: Mapping[str, Sequence[Showers]], *, seed: int = 0) -> pd.DataFrame:
    """Fill the table of published values with what engines give.

    Parameters
    ----------
    samples : mapping of str to sequence of Showers
        Name of each engine, and its samples of vertical electrons and protons of one kinetic energy each, 10 or 100
        GeV, with ``label``, ``momentum`` and tracks; with ``interaction_depth`` (mm, NaN if it crossed) the truth is
        used for the crossing fraction and the interaction length, and else what the images say.
    seed : int
        Of the bootstrap samples.

    Returns
    -------
    pandas.DataFrame
        ``label``, ``energy`` (GeV), ``quantity``, ``description``, ``unit``, ``low`` and ``high`` (published value, or
        the ends of a range), and for each engine its value, ``{engine}_error`` and ``{engine}_difference``: relative to
        the published value or the nearer end of the range, 0 inside it. NaN where an engine has no such sample.

    Raises
    ------
    ValidationError
        If a sample is not vertical, of one energy and one species, or has fewer than 50 events.
    """
    table = load_targets()[1].copy()
    known = [TARGET_QUANTITIES[name] for name in table["quantity"]]
    table.insert(3, "description", [quantity.description for quantity in known])
    table.insert(4, "unit", [quantity.unit for quantity in known])
    for engine, parts in samples.items():
        by_energy = {_identify(engine, showers): showers for showers in parts}
        generator = np.random.default_rng(seed)
        values = []
        for row in table.to_dict("records"):
            showers = by_energy.get((row["label"], row["energy"]))
            number = (np.nan, np.nan) if showers is None else _measure(row["quantity"], showers, generator)
            values.append((*number, _relative(number[0], row["low"], row["high"])))
        table[[engine, f"{engine}_error", f"{engine}_difference"]] = np.array(values)
    return table


def _identify(engine: str, showers: Showers) -> tuple[str, float]:
    """Species and energy of a sample, after a look at whether it is one."""
    table = showers.table
    if len(table) < _MINIMUM:
        raise ValidationError(f"a sample of {engine} has {len(table)} events; expected {_MINIMUM} or more")
    labels = {str(label) for label in table["label"]}
    if len(labels) != 1 or not labels <= set(_MASSES):
        raise ValidationError(
            f"a sample of {engine} has {', '.join(sorted(labels))}; expected electrons or protons alone"
        )
    if (inclination := table["track_inclination"].max()) > _VERTICAL:
        raise ValidationError(f"a sample of {engine} has tracks inclined by {inclination:.3g} rad; expected vertical")
    energy = _energy(showers)
    known = sorted(set(load_targets()[1]["energy"]))
    nearest = min(known, key=lambda value: abs(value - float(np.median(energy))))
    if abs(energy / nearest - 1).max() > 0.02:
        raise ValidationError(
            f"a sample of {engine} has {labels.pop()}s of {energy.min():.4g} to {energy.max():.4g} GeV; expected "
            f"{' or '.join(f'{value:g}' for value in known)} GeV"
        )
    return labels.pop(), nearest


def _measure(name: str, showers: Showers, generator: np.random.Generator) -> tuple[float, float]:
    """Value of a quantity and its bootstrap error."""
    quantity = TARGET_QUANTITIES[name]
    values = quantity.values(showers)
    if len(values) < 2:
        return np.nan, np.nan
    again = [quantity.statistic(values[generator.integers(0, len(values), len(values))]) for _ in range(_BOOTSTRAP)]
    return float(quantity.statistic(values)), float(np.std(again, ddof=1))


def _relative(value: float, low: float, high: float) -> float:
    """Relative distance from a range; 0 inside."""
    return value / low - 1 if value < low else value / high - 1 if value > high else 0.0 * value
