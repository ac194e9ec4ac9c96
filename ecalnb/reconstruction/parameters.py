"""What the methods know of showers: their lateral shape, the noise of cells, and how far single layers can be trusted.

It is measured on simulated electrons (:mod:`ecalnb.reconstruction.calibrate`) and kept in ``data/reconstruction``: one
file for the showers of Geant4, which are the ones to use for recorded events, and one for those of the fast simulation,
for studies of it. All of it is a function of the age of the shower: the depth over that of the shower maximum.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from .._toml import DATA, check_keys, packaged_or_path, read_toml

__all__ = ["METHODS", "AxisParameters", "LayerErrors"]

FloatArray = npt.NDArray[np.float64]

METHODS = ("center_of_gravity", "cell_ratios", "lateral_fit", "shower_fit_3d")
"""The methods, from the simplest to the one that uses all."""

FOLDER = DATA / "reconstruction"


@dataclass(frozen=True, eq=False)
class LayerErrors:
    """How the positions that layers measure lie about the true axis.

    Parameters
    ----------
    depth_shift : array, shape (n_ages,)
        Depth that a layer's position belongs to, from its middle, mm. Behind an inclined axis' front side the shower is
        further developed than on the other: where it grows with depth, its centre of gravity in a horizontal layer is
        ahead of the axis, where it falls, behind; besides, the energy is not in the middle of the layer.
    spread, jitter : array, shape (n_ages,)
        The standard deviation of a position is ``spread`` times what the fluctuations of its cells make of it, and in
        quadrature ``jitter``, mm.
    correlation, length : float
        Two layers of a view have the correlation ``correlation exp(-d / length)``, d and length in radiation lengths.
    error_scale : float
        Of the errors of the axis: with it, 68 % of the true axes are within one error.
    """

    depth_shift: FloatArray
    spread: FloatArray
    jitter: FloatArray
    correlation: float
    length: float
    error_scale: float = 1.0

    def variances(self, ages: FloatArray, nodes: FloatArray, cells: FloatArray) -> FloatArray:
        """Variances of positions at these ages, mm^2, from those by the fluctuations of their cells."""
        spread, jitter = (np.interp(ages, nodes, values) for values in (self.spread, self.jitter))
        return spread**2 * cells + jitter**2


@dataclass(frozen=True, eq=False)
class AxisParameters:
    """Parameters of all methods; load packaged ones with `load`.

    Parameters
    ----------
    ages : array, shape (n_ages,)
        Nodes, rising, between which all is linear.
    core_weight, core_radius, tail_radius : array, shape (n_ages,)
        Lateral shape (:mod:`ecalnb.reconstruction._shape`); radii in mm.
    noise : tuple of float
        Variance of a cell's energy: a quantum (GeV), a relative part, and a floor (GeV).
    methods : mapping of str to LayerErrors
        For each of `METHODS`.
    origin : mapping
        Where they come from.

    Raises
    ------
    ValueError
        If there are not as many values as ages, or one is not positive that has to be.
    """

    ages: FloatArray
    core_weight: FloatArray
    core_radius: FloatArray
    tail_radius: FloatArray
    noise: tuple[float, float, float]
    methods: Mapping[str, LayerErrors]
    origin: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("ages", "core_weight", "core_radius", "tail_radius"):
            values = np.asarray(getattr(self, name), dtype=float)
            object.__setattr__(self, name, values)
            if values.shape != self.ages.shape or not (values > 0).all():
                raise ValueError(f"{name} is {values.tolist()}; expected {len(self.ages)} positive numbers")
        if len(self.ages) < 2 or not (np.diff(self.ages) > 0).all():
            raise ValueError(f"ages are {self.ages.tolist()}; expected two or more rising numbers")
        if len(self.noise) != 3 or not min(self.noise) > 0:
            raise ValueError(f"noise is {self.noise!r}; expected three positive numbers")

    @property
    def lateral(self) -> FloatArray:
        """Weight of the core, its radius and that of the tail, shape (3, n_ages)."""
        return np.stack([self.core_weight, self.core_radius, self.tail_radius])

    @staticmethod
    def load(name: str | Path = "geant4") -> AxisParameters:
        """Read parameters.

        Parameters
        ----------
        name : str or Path
            ``geant4``, ``fast``, or the path of a ``.toml`` file.

        Raises
        ------
        FileNotFoundError, ValueError
            If there is no such file, or it does not hold what it should.
        """
        return _load(packaged_or_path(name, FOLDER, "calibration of the shower axis"))


def _load(path: Path) -> AxisParameters:
    content = read_toml(path)
    tables = ("version", "lateral", "noise", "methods", "origin")
    check_keys(content, tables, str(path), required=tables)
    if content["version"] != 1:
        raise ValueError(f"{path} has version {content['version']!r}; expected 1")
    shape = ("ages", "core_weight", "core_radius", "tail_radius")
    check_keys(content["lateral"], shape, f"{path}, [lateral]", required=shape)
    noise = ("quantum", "relative", "floor")
    check_keys(content["noise"], noise, f"{path}, [noise]", required=noise)
    check_keys(content["methods"], METHODS, f"{path}, [methods]", required=METHODS)
    lateral = {name: np.array(content["lateral"][name], dtype=float) for name in shape}
    keys = ("depth_shift", "spread", "jitter", "correlation", "length", "error_scale")
    methods = {}
    for method, entry in content["methods"].items():
        where = f"{path}, [methods.{method}]"
        check_keys(entry, keys, where, required=keys)
        shift, spread, jitter = (np.array(entry[key], dtype=float) for key in keys[:3])
        if any(array.shape != lateral["ages"].shape for array in (shift, spread, jitter)):
            raise ValueError(f"{where}: expected {len(lateral['ages'])} numbers, one an age")
        methods[method] = LayerErrors(shift, spread, jitter, **{key: float(entry[key]) for key in keys[3:]})
    quantum, relative, floor = (float(content["noise"][name]) for name in noise)
    return AxisParameters(**lateral, noise=(quantum, relative, floor), methods=methods, origin=content["origin"])
