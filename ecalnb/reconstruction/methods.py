"""The conventional methods to reconstruct the axis of a shower."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import get_args

import numpy as np
import numpy.typing as npt

from ..geometry import Tracks, View
from ..showers import Showers
from ..variables import fit_gamma_profiles, shower_axis
from ._fit3d import RESULTS, fit_showers
from ._line import fit_lines, layer_correlations
from .axes import LARGEST_INCLINATION, Quality, ShowerAxes
from .layers import LayerPositions, measure_layers
from .parameters import METHODS, AxisParameters

__all__ = ["cell_ratios", "center_of_gravity", "lateral_fit", "list_methods", "reconstruct", "shower_fit_3d"]

FloatArray = npt.NDArray[np.float64]
Calibration = AxisParameters | str | Path

_PASSES = 3


def list_methods() -> list[str]:
    """Names of the methods, the simplest first."""
    return list(METHODS)


def reconstruct(showers: Showers, method: str = "shower_fit_3d", *, calibration: Calibration = "geant4") -> ShowerAxes:
    """Reconstruct the axes of showers from their images alone.

    Parameters
    ----------
    showers : Showers
        Events; tracks and truth are not used.
    method : str
        One of `list_methods`.
    calibration : AxisParameters, str or Path
        Parameters, or what :meth:`AxisParameters.load` reads: ``geant4``, or ``fast`` for events of the fast engine.

    Returns
    -------
    ShowerAxes
        NaN, and a `Quality` that says why, for an event whose axis cannot be found.

    Raises
    ------
    ValueError
        If there is no such method or calibration.
    """
    if method not in _FUNCTIONS:
        raise ValueError(f"no method of reconstruction is named {method!r}; expected one of {', '.join(METHODS)}")
    return _FUNCTIONS[method](showers, calibration=calibration)


def center_of_gravity(showers: Showers, *, calibration: Calibration = "geant4") -> ShowerAxes:
    """Line through the centres of gravity of five cells a layer, corrected for the width of the cells.

    The centre of gravity of wide cells is drawn to the middle of the cell that the axis crosses. Its expectation as a
    function of the axis' position (the "S-curve") follows from the lateral shape at the layer's age, and is inverted
    (G. A. Akopdjanov et al., NIM 140 (1977) 441). Layers count with the inverse of the variance that the fluctuations
    of their cells give.

    Parameters and result are those of `reconstruct`.
    """
    return _through_layers(showers, "center_of_gravity", calibration)


def cell_ratios(showers: Showers, *, calibration: Calibration = "geant4") -> ShowerAxes:
    """Line through positions from the energies of the two neighbours of the highest cell of each layer.

    Their difference over the sum of the three depends on where in the cell the axis is, and hardly on all else; the
    integral of the lateral shape over the cells says how. It is the idea of AMS's neighbour-cell energy ratios
    (arXiv:1308.5564), with the shape of :mod:`ecalnb.reconstruction._shape` in place of one from the test beam.

    Parameters and result are those of `reconstruct`.
    """
    return _through_layers(showers, "cell_ratios", calibration)


def lateral_fit(showers: Showers, *, calibration: Calibration = "geant4") -> ShowerAxes:
    """Line through positions at which the lateral shape fits the cells of each layer best.

    The shape is that of the layer's age; its inclination in the layer is part of it. The likelihood is that of
    independent cells whose variance goes with their expectation.

    Parameters and result are those of `reconstruct`.
    """
    return _through_layers(showers, "lateral_fit", calibration)


def shower_fit_3d(showers: Showers, *, calibration: Calibration = "geant4") -> ShowerAxes:
    """One fit of line, shower maximum and energy to all cells, from the centre of gravity.

    A gamma distribution along the axis and the lateral shape across it (:mod:`ecalnb.reconstruction._fit3d`).

    Parameters and result are those of `reconstruct`.
    """
    parameters = _parameters(calibration)
    clean, quality = _clean(showers)
    lines, maxima, energies = _start(clean)
    errors, geometry = parameters.methods["shower_fit_3d"], showers.geometry
    results = np.full((len(showers), RESULTS), np.nan)
    fit_showers(
        clean.images, np.stack([lines.x, lines.slope_x, lines.y, lines.slope_y], axis=1), maxima, energies,
        np.array(geometry.views) == "x", geometry.layers("x"), geometry.layers("y"), geometry.layer_depths,
        geometry.radiation_lengths / geometry.n_layers, -geometry.width / 2, geometry.cell_pitch,
        parameters.ages, parameters.lateral, np.array(parameters.noise), errors.depth_shift, errors.spread,
        errors.jitter, layer_correlations(geometry.layer_depths_x0, errors.correlation, errors.length), results,
    )  # fmt: skip
    few = np.isnan(results[:, 13]) | (results[:, 13] == 0)
    _mark(quality, few, Quality.FEW_LAYERS)
    results[few] = np.nan
    _mark(quality, results[:, 13] < 0, Quality.NOT_CONVERGED)
    _mark(quality, results[:, 14] > 0, Quality.AT_LIMIT)
    covariances = results[:, 4:10] * errors.error_scale**2
    return _axes(
        results[:, 0:2], results[:, 2:4], covariances[:, :3], covariances[:, 3:], quality, showers,
        results[:, 10], results[:, 11], results[:, 12],
    )  # fmt: skip


_FUNCTIONS: dict[str, Callable[..., ShowerAxes]] = {
    function.__name__: function for function in (center_of_gravity, cell_ratios, lateral_fit, shower_fit_3d)
}


def _parameters(calibration: Calibration) -> AxisParameters:
    return calibration if isinstance(calibration, AxisParameters) else AxisParameters.load(calibration)


def _clean(showers: Showers) -> tuple[Showers, npt.NDArray[np.int8]]:
    """Showers with the cells of bad events at 0, and what is known of their quality so far."""
    quality = np.full(len(showers), Quality.GOOD, dtype=np.int8)
    bad = ~np.isfinite(showers.images.sum(axis=(1, 2)))
    _mark(quality, bad, Quality.BAD_CELLS)
    images = showers.images
    if bad.any():
        images = images.copy()
        images[bad] = 0
    clean = Showers(images, showers.table, showers.geometry)
    _mark(quality, ~(clean.energies > 0), Quality.NO_ENERGY)
    return clean, quality


def _mark(quality: npt.NDArray[np.int8], events: npt.NDArray[np.bool_], code: Quality) -> None:
    """Give events a quality where they have been good."""
    quality[events & (quality == Quality.GOOD)] = code


def _start(showers: Showers) -> tuple[Tracks, FloatArray, FloatArray]:
    """Lines through the energy, and the maxima and energies of gamma distributions along them."""
    own = shower_axis(showers)
    # A line along the layers crosses none of them at an angle that a profile could be measured along.
    lines = Tracks(own.x, own.y, np.minimum(own.inclination, LARGEST_INCLINATION), own.azimuth)
    profile = fit_gamma_profiles(showers, lines)
    return lines, np.maximum(profile.maximum, 0.5), profile.energy


def _through_layers(showers: Showers, method: str, calibration: Calibration) -> ShowerAxes:
    """Line through the positions of the layers, which are measured anew about each line."""
    parameters, geometry = _parameters(calibration), showers.geometry
    clean, quality = _clean(showers)
    lines, maxima, _ = _start(clean)
    errors = parameters.methods[method]
    correlations = layer_correlations(geometry.layer_depths_x0, errors.correlation, errors.length)
    n = len(showers)
    fitted: dict[View, tuple[FloatArray, FloatArray, FloatArray]] = {
        view: (np.empty((n, 2)), np.empty((n, 3)), np.empty(n)) for view in get_args(View)
    }
    for _ in range(_PASSES):
        measured = measure_layers(clean, lines, maxima, method, parameters)
        variances = errors.variances(measured.ages, parameters.ages, measured.variances)
        for view, result in fitted.items():
            layers = geometry.layers(view)
            fit_lines(layers, measured.depths, measured.positions, variances, correlations, *result)
        x, y = fitted["x"][0], fitted["y"][0]
        inclination = np.minimum(np.arctan(np.hypot(x[:, 1], y[:, 1])), LARGEST_INCLINATION)
        lines = Tracks(x[:, 0], y[:, 0], inclination, np.arctan2(y[:, 1], x[:, 1]))
    _mark(quality, np.isnan(x[:, 1] + y[:, 1]), Quality.FEW_LAYERS)
    deviance = _line_deviance(measured, variances, x, y, np.array(geometry.views) == "x")
    ndf = fitted["x"][2] + fitted["y"][2] - 4
    x_covariance, y_covariance = (fitted[view][1] * errors.error_scale**2 for view in ("x", "y"))
    return _axes(x, y, x_covariance, y_covariance, quality, showers, maxima, deviance, ndf)


def _line_deviance(
    measured: LayerPositions, variances: FloatArray, x: FloatArray, y: FloatArray, in_x: npt.NDArray[np.bool_]
) -> FloatArray:
    line = np.where(in_x, x[:, :1] + x[:, 1:] * measured.depths, y[:, :1] + y[:, 1:] * measured.depths)
    deviance: FloatArray = ((measured.positions - line) ** 2 / variances).sum(axis=1)
    return deviance


def _axes(
    x: FloatArray, y: FloatArray, x_covariance: FloatArray, y_covariance: FloatArray,
    quality: npt.NDArray[np.int8], showers: Showers, maxima: FloatArray, deviance: FloatArray, ndf: FloatArray,
) -> ShowerAxes:  # fmt: skip
    """Axes of lines in two views; NaN for all events that have none."""
    with np.errstate(invalid="ignore"):
        outside = np.hypot(x[:, 1], y[:, 1]) > np.tan(LARGEST_INCLINATION)
        outside |= np.maximum(abs(x[:, 0]), abs(y[:, 0])) > showers.geometry.width
    _mark(quality, outside, Quality.AT_LIMIT)
    none = np.isin(quality, (Quality.NO_ENERGY, Quality.BAD_CELLS, Quality.FEW_LAYERS))
    columns = {"x0": x[:, 0], "y0": y[:, 0], "slope_x": x[:, 1], "slope_y": y[:, 1]}
    for view, covariance in (("x", x_covariance), ("y", y_covariance)):
        errors = np.sqrt(covariance[:, :2])
        columns |= {f"{view}0_error": errors[:, 0], f"slope_{view}_error": errors[:, 1]}
        columns[f"correlation_{view}"] = covariance[:, 2] / errors.prod(axis=1)
    columns |= {"shower_max": maxima, "deviance": deviance, "ndf": ndf}
    known = {name: np.where(none, np.nan, column) for name, column in columns.items()}
    return ShowerAxes(**known, quality=quality)
