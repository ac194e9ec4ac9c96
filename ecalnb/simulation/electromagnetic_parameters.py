"""Parameters of the fast electromagnetic simulation: what the data file holds, and what the kernels read."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.special import stdtr

from .._toml import DATA
from ..geometry import AMS, Calorimeter

__all__ = ["PARAMETER_FILE", "ElectromagneticParameters", "load_parameters", "read_parameter_file"]

PARAMETER_FILE = DATA / "simulation" / "electromagnetic.json"
"""The fitted values, with what they were fitted to; written by :mod:`ecalnb.simulation.fit_electromagnetic`."""

FORMAT = 2
FINE_STEP, FINE_END, COARSE_STEP, COARSE_END = 0.5, 60.0, 4.0, 440.0
"""Distances from the axis at which the lateral tables are kept, mm."""

FloatArray = npt.NDArray[np.float64]


class ElectromagneticParameters(NamedTuple):
    """Numbers and tables that the kernels read. Lengths in mm, energies in GeV, shower depth in radiation lengths.

    A kernel takes neither a dictionary nor a dataclass, so this is a flat tuple. ``docs/fast-simulation.md`` explains
    the model.
    """

    pitch: float
    thickness: float
    half_width: float
    radiation_length: float
    # longitudinal
    reference_energy: float
    energy_clip: FloatArray  # ln(E / reference) of the ends of the fitted range
    shape_median: FloatArray  # (2, 2): depth of the maximum, standard deviation; straight in ln(E / reference)
    shape_log_sigma: FloatArray  # (2, 2)
    shape_quantiles: FloatArray  # (3, nodes): those, and the sampling of the total
    knots: FloatArray
    correction: FloatArray  # (knots, 3): polynomial in ln(E / reference)
    log_sigma: FloatArray  # (knots, 2)
    nodes: FloatArray
    quantiles: FloatArray  # (knots, nodes)
    cholesky: FloatArray  # (2, scores, scores): at the ends of the fitted range
    contained: float
    tail_length: float
    total_variance: FloatArray  # (2,): stochastic, constant
    entry_density: float
    # lateral
    entry_nodes: FloatArray
    age_nodes: FloatArray
    lateral_table: FloatArray  # (entry + age nodes, core and wide, positions): integral from 0 to a distance
    lateral_width: FloatArray  # (entry + age nodes, 2): log of a factor, straight in ln(E / reference)
    wide_logit: FloatArray  # (entry + age nodes, 2): log odds of the wide part, straight in ln(E / reference)
    wide_power: FloatArray  # (entry + age nodes,): minus the power of the layer's part of the energy in those odds
    layer_shift: FloatArray  # (entry + age nodes,): how far energy is ahead of an inclined axis, mm over its slope
    mode_sigma: FloatArray  # (entry + age nodes, 3): position in mm, log of the width, log odds of the wide part
    mode_slope: FloatArray  # (3,): power of the energy
    mode_memory: FloatArray  # (3,): correlation from one layer to the next
    # cells
    spot_weights: FloatArray  # (2,)
    spot_means: FloatArray  # (2,)
    spot_shapes: FloatArray  # (2,)
    spot_mean: float
    spot_shape: float
    many_shape: float
    many_scale: float
    many_shift: float
    dust_rate: float  # at the reference energy
    dust_power: float
    dust_cluster: float
    dust_width: float
    dust_depth: float
    dust_log_energy: FloatArray  # (2,)
    # photons
    photon_log_energy: FloatArray
    photon_path: FloatArray


def read_parameter_file(path: Path = PARAMETER_FILE) -> dict[str, Any]:
    """Content of a parameter file.

    Raises
    ------
    ValueError
        If the file has another format than this version of the package writes.
    """
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    if content.get("format") != FORMAT:
        raise ValueError(f"{path} has format {content.get('format')!r}; expected {FORMAT}: run the fit again")
    return content


@cache
def load_parameters(geometry: Calorimeter = AMS) -> ElectromagneticParameters:
    """Parameters for a calorimeter of the fitted material, whose cells and layers may have other sizes."""
    return make_parameters(read_parameter_file()["parameters"], geometry)


def make_parameters(values: dict[str, Any], geometry: Calorimeter) -> ElectromagneticParameters:
    """Turn fitted values into what the kernels read."""
    arrays: dict[str, Any] = {key: np.array(value, dtype=float) for key, value in values.items() if np.ndim(value)}
    numbers: dict[str, Any] = {key: float(value) for key, value in values.items() if not np.ndim(value)}
    weights, scales = arrays.pop("lateral_weights"), arrays.pop("lateral_scales")
    is_wide = scales > numbers.pop("wide_scale")
    positions = np.concatenate([np.arange(0, FINE_END, FINE_STEP), np.arange(FINE_END, COARSE_END, COARSE_STEP)])
    widths = np.exp(arrays["lateral_width"][:, 0])
    integrals = stdtr(4, positions[:, None, None] / (scales * widths[:, None])) - 0.5
    parts = [(integrals * _normalised(np.where(kind, weights, 0))).sum(axis=2) for kind in (~is_wide, is_wide)]
    means, shapes = arrays["spot_means"], arrays["spot_shapes"]
    mean = float(arrays["spot_weights"] @ means)
    second = float(arrays["spot_weights"] @ (means**2 * (1 + 1 / shapes)))
    third = float(arrays["spot_weights"] @ (means**3 * (1 + 1 / shapes) * (1 + 2 / shapes)))
    return ElectromagneticParameters(
        pitch=geometry.cell_pitch,
        thickness=geometry.layer_thickness,
        half_width=geometry.width / 2,
        lateral_table=np.ascontiguousarray(np.stack(parts).transpose(2, 0, 1)),
        spot_mean=mean,
        spot_shape=mean**2 / (second - mean**2),
        many_shape=4 * second**3 / third**2,
        many_scale=third / (2 * second),
        many_shift=2 * second**2 / third - mean,
        **arrays,
        **numbers,
    )


def _normalised(weights: FloatArray) -> FloatArray:
    return weights / weights.sum(axis=1, keepdims=True)
