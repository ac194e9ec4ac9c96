"""Published values of a Geant4 study, beside what the engines of this package give.

The values stand in ``data/geant4_targets.toml`` with their source. They are for vertical electrons and protons of 10
and 100 GeV; :mod:`ecalnb.validation.target_quantities` says how they are computed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np
import pandas as pd

from .. import ntuples
from .._toml import DATA, check_keys, read_toml
from ..showers import Showers
from .conditions import ValidationError
from .target_quantities import MASSES, TARGET_QUANTITIES, kinetic_energies

__all__ = ["load_targets", "missed_targets", "read_samples", "target_table"]

_VERTICAL = 0.02  # rad
_BOOTSTRAP = 200
_MINIMUM = 50


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
        used for the crossing fraction and the interaction length, and else what the images say. Samples of the
        homogenised calorimeter count for the deposited fraction, and for nothing else.
    seed : int
        Of the bootstrap samples.

    Returns
    -------
    pandas.DataFrame
        ``label``, ``energy`` (GeV), ``quantity``, ``description``, ``unit``, ``published`` (value or range, as text),
        ``low`` and ``high`` (its ends), and for each engine its value, ``{engine}_error`` and ``{engine}_difference``:
        relative to the published value or the nearer end of the range, 0 inside it. NaN where an engine has no such
        sample.

    Raises
    ------
    ValidationError
        If a sample is not vertical, of one energy and one species, or has fewer than 50 events.
    """
    table = load_targets()[1].copy()
    known = [TARGET_QUANTITIES[name] for name in table["quantity"]]
    table.insert(3, "description", [quantity.description for quantity in known])
    table.insert(4, "unit", [quantity.unit for quantity in known])
    published = [
        f"{low:g}" if low == high else f"{low:g} to {high:g}" for low, high in table[["low", "high"]].to_numpy()
    ]
    table.insert(5, "published", published)
    for engine, parts in samples.items():
        chosen = {_identify(engine, showers): showers for showers in parts}
        generator = np.random.default_rng(seed)
        values = []
        for row in table.to_dict("records"):
            key = row["label"], row["energy"], TARGET_QUANTITIES[row["quantity"]].volumes
            showers = chosen.get(key)
            number = (np.nan, np.nan) if showers is None else _measure(row["quantity"], showers, generator)
            values.append((*number, _relative(number[0], row["low"], row["high"])))
        table[[engine, f"{engine}_error", f"{engine}_difference"]] = np.array(values)
    return table


def missed_targets(table: pd.DataFrame, *, tolerance: float = 0.1) -> pd.DataFrame:
    """Values of a `target_table` that are further from the published ones than a tolerance and than twice their error.

    Returns
    -------
    pandas.DataFrame
        ``engine``, ``label``, ``energy``, ``quantity``, ``low``, ``high``, ``value``, ``error``, ``difference``.
    """
    parts = []
    for engine in (str(name).removesuffix("_difference") for name in table if str(name).endswith("_difference")):
        columns = {engine: "value", f"{engine}_error": "error", f"{engine}_difference": "difference"}
        named = table[["label", "energy", "quantity", "low", "high", *columns]].rename(columns=columns)
        named.insert(0, "engine", engine)
        parts.append(named[named["difference"].abs() > np.maximum(tolerance, 2 * named["error"] / named["low"])])
    return pd.concat(parts, ignore_index=True)


def read_samples(files: ntuples.Files) -> list[Showers]:
    """Read samples of one species and energy each, for `target_table`, from files or a dataset that hold several.

    Parameters
    ----------
    files : path, wildcard, Dataset, or a list of them
        Simulated events of separate energies. What made them is told from their provenance, file by file.
    """
    parts: dict[Any, list[Showers]] = {}
    for showers in ntuples.iterate(files):
        volumes = showers.metadata.get("provenance", {}).get("volumes")
        kinds = showers.table[["label"]].assign(momentum=showers.table["momentum"].round(2))
        for kind, rows in kinds.groupby(["label", "momentum"]):
            parts.setdefault((kind, volumes), []).append(showers[rows.index.to_numpy()])
    return [Showers.concatenate(sample) for sample in parts.values()]


def _identify(engine: str, showers: Showers) -> tuple[str, float, str]:
    """Species, energy and volumes of a sample, after a look at whether it is one."""
    table = showers.table
    if len(table) < _MINIMUM:
        raise ValidationError(f"a sample of {engine} has {len(table)} events; expected {_MINIMUM} or more")
    labels = {str(label) for label in table["label"]}
    if len(labels) != 1 or not labels <= set(MASSES):
        raise ValidationError(
            f"a sample of {engine} has {', '.join(sorted(labels))}; expected electrons or protons alone"
        )
    if (inclination := table["track_inclination"].max()) > _VERTICAL:
        raise ValidationError(f"a sample of {engine} has tracks inclined by {inclination:.3g} rad; expected vertical")
    energy = kinetic_energies(showers)
    known = sorted(set(load_targets()[1]["energy"]))
    nearest = min(known, key=lambda value: abs(value - float(np.median(energy))))
    if abs(energy / nearest - 1).max() > 0.02:
        raise ValidationError(
            f"a sample of {engine} has {labels.pop()}s of {energy.min():.4g} to {energy.max():.4g} GeV; expected "
            f"{' or '.join(f'{value:g}' for value in known)} GeV"
        )
    volumes = showers.metadata.get("provenance", {}).get("volumes", "explicit fibres")
    return labels.pop(), nearest, volumes


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
