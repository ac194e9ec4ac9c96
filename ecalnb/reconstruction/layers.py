"""Positions that the layers of showers measure about given lines: what the line fits and their calibration share."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..geometry import Tracks
from ..showers import Showers
from ._measure import CENTROID, GRID, RATIO, expected_statistic, measure_fit, measure_statistic
from ._shape import LEAST_CROSSING
from .parameters import AxisParameters

__all__ = ["LayerPositions", "measure_layers", "shower_ages"]

FloatArray = npt.NDArray[np.float64]

FIT_STEPS = 3
"""Steps of the fit of each layer by itself."""

_FACTORS = {"center_of_gravity": CENTROID, "cell_ratios": RATIO}


@dataclass(frozen=True, eq=False)
class LayerPositions:
    """Measured positions; arrays of shape (n, n_layers).

    Parameters
    ----------
    depths : array
        Depth that each layer's position belongs to, mm.
    positions : array
        Coordinate that the layer measures, mm.
    variances : array
        By the fluctuations of its cells alone, mm^2; infinite where a layer measures nothing.
    ages : array
        Depth along the line over that of the shower maximum.
    """

    depths: FloatArray
    positions: FloatArray
    variances: FloatArray
    ages: FloatArray


def shower_ages(showers: Showers, lines: Tracks, maxima: FloatArray) -> FloatArray:
    """Depth of the middle of each layer along a line, over that of the shower maximum, shape (n, n_layers)."""
    depths: FloatArray = showers.geometry.layer_depths_x0 / (np.cos(lines.inclination) * maxima)[:, None]
    return depths


def measure_layers(
    showers: Showers, lines: Tracks, maxima: FloatArray, method: str, parameters: AxisParameters, steps: int = FIT_STEPS
) -> LayerPositions:
    """Measure the position of the shower in each layer, near a line.

    Parameters
    ----------
    showers : Showers
        Events without NaN.
    lines : Tracks
        Where to look; nothing is measured for an event with NaN.
    maxima : array, shape (n,)
        Depth of the shower maximum along the line, radiation lengths.
    method : str
        One of :data:`~ecalnb.reconstruction.METHODS`; the 3D fit measures as the lateral fit does.
    parameters : AxisParameters
        Lateral shape and noise.
    steps : int
        Steps of a fit: with one, its linear estimate about the line.
    """
    geometry = showers.geometry
    ages = shower_ages(showers, lines, maxima)
    depths = geometry.layer_depths + np.interp(ages, parameters.ages, parameters.methods[method].depth_shift)
    in_x = np.array(geometry.views) == "x"
    slopes = np.where(in_x, lines.slope_x[:, None], lines.slope_y[:, None])
    centres = np.where(in_x, lines.x[:, None], lines.y[:, None]) + slopes * depths
    edge, pitch = -geometry.width / 2, geometry.cell_pitch
    positions, variances = np.empty((2, *centres.shape))
    noise = np.array(parameters.noise)
    if method in _FACTORS:
        factors = _FACTORS[method]
        table = np.empty((len(parameters.ages), len(GRID)))
        for row, shape in zip(table, parameters.lateral.T, strict=True):
            expected_statistic(factors, pitch, LEAST_CROSSING, *shape, GRID, row)
        measure_statistic(
            showers.images, centres, ages, edge, pitch, parameters.ages, table, factors, noise, positions, variances
        )
    else:
        crossings = np.maximum(abs(slopes) * geometry.layer_thickness, LEAST_CROSSING)
        measure_fit(
            showers.images, centres, ages, crossings, edge, pitch, parameters.ages, parameters.lateral, noise, steps,
            positions, variances,
        )  # fmt: skip
    return LayerPositions(depths, positions, variances, ages)
