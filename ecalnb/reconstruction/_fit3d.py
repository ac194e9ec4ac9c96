"""Fit of a whole shower: one line, one shower maximum and one energy for all cells.

The likelihood has two factors. Along the axis the layer energies follow a gamma distribution; their spread is that of
:mod:`ecalnb.variables.profile`. Across it, the cells of a layer share its energy by the lateral shape at its age, so
that the width of the shower tells its maximum, too. Both are maximised together by Fisher's scoring.
"""

from __future__ import annotations

import math

import numpy as np

from .._compiled import jit
from ..variables.profile import AMS_RATE, DEPTH_MAX, LAYER_FLOOR, QUANTUM, SHAPE_SPREAD
from ._line import line_covariance, weighted_line
from ._measure import WINDOW, cell_variance, score
from ._shape import LEAST_CROSSING, cell_parts, interpolate, shape_at

__all__ = ["RESULTS", "fit_showers"]

RESULTS = 15
"""Numbers of a fit: line in x and in y (2 each), their covariances (3 each), maximum, deviance, number of degrees of
freedom, steps (0 if layers are missing, -1 if it did not come to rest), whether the maximum is at its limit."""

_MOST_STEPS = 25
_STEP = 0.05  # of the logarithm of the age, for derivatives of the shape by it
_LEAST_MAXIMUM = 0.5
_SMALL = 0.02  # a step of this many standard deviations is the last

_NODES = (0.5 - math.sqrt(0.15), 0.5, 0.5 + math.sqrt(0.15))
_WEIGHTS = (5 / 18, 8 / 18, 5 / 18)


@jit
def _layer_parts(log_maximum, step, parts):  # type: ignore[no-untyped-def]
    """Part of a gamma distribution with the maximum exp(log_maximum) in layers of ``step`` radiation lengths."""
    shape = 1 + AMS_RATE * math.exp(log_maximum)
    constant = shape * math.log(AMS_RATE) - math.lgamma(shape)
    for i in range(len(parts)):
        parts[i] = 0.0
        for j in range(3):
            depth = step * (i + _NODES[j])
            parts[i] += _WEIGHTS[j] * step * math.exp(constant + (shape - 1) * math.log(depth) - AMS_RATE * depth)


@jit
def _longitudinal(layers, log_maximum, log_energy, step, parts, moved, matrix, vector):  # type: ignore[no-untyped-def]
    """Add the layer energies' part of the likelihood to the equations for log maximum and log energy; its deviance."""
    _layer_parts(log_maximum, step, parts)
    _layer_parts(log_maximum + _STEP, step, moved)
    energy, deviance = math.exp(log_energy), 0.0
    for i in range(len(layers)):
        expected = energy * parts[i]
        weight = 1 / (QUANTUM * expected + (SHAPE_SPREAD * expected) ** 2 + LAYER_FLOOR**2)
        residual = layers[i] - expected
        by_maximum = energy * (moved[i] - parts[i]) / _STEP
        vector[0] += weight * residual * by_maximum
        vector[1] += weight * residual * expected
        matrix[0] += weight * by_maximum * by_maximum
        matrix[1] += weight * by_maximum * expected
        matrix[2] += weight * expected * expected
        deviance += weight * residual * residual
    return deviance


@jit
def _lateral(  # type: ignore[no-untyped-def]
    row, position, crossing, age, edge, pitch, nodes, lateral, noise, spread, work, matrix, vector
):  # fmt: skip
    """Displacement of a layer and its variance; its width's part of the equations; its deviance and cells."""
    n_cells = len(row)
    middle = np.floor((position - edge) / pitch)
    if not 0 <= middle < n_cells:
        return 0.0, np.inf, 0.0, 0
    first, last = max(int(middle) - WINDOW, 0), min(int(middle) + WINDOW, n_cells - 1)
    weight, core, tail = shape_at(age, nodes, lateral)
    parts, slopes, older, unused = work[0], work[1], work[2], work[3]
    cell_parts(first, last, edge, pitch, position, crossing, weight, core, tail, parts, slopes)
    derivative, information, energy = score(row, first, last, parts, slopes, noise)
    if not information > 1e-6:
        return 0.0, np.inf, 0.0, 0
    weight, core, tail = shape_at(age * math.exp(_STEP), nodes, lateral)
    cell_parts(first, last, edge, pitch, position, crossing, weight, core, tail, older, unused)
    deviance = 0.0
    for k in range(last - first + 1):
        deviance += (max(row[first + k], 0.0) - energy * parts[k]) ** 2 / cell_variance(energy * parts[k], noise)
        older[k] = (parts[k] - older[k]) / _STEP  # a later maximum makes a layer younger
    by_maximum, its_information, _ = score(row, first, last, parts, older, noise)
    vector[0] += by_maximum / spread**2
    matrix[0] += its_information / spread**2
    return derivative / information, spread**2 / information, deviance, last - first


@jit
def fit_showers(  # type: ignore[no-untyped-def]
    images, lines, maxima, energies, in_x, x_layers, y_layers, depths, step, edge, pitch,
    nodes, lateral, noise, shifts, spreads, jitters, correlations, results,
):  # fmt: skip
    """Fit all showers, each from a line that is nearly right.

    Parameters
    ----------
    images : array, shape (n, n_layers, n_cells)
        GeV, finite.
    lines : array, shape (n, 4)
        Intercept and slope in x, and in y; an event with a NaN is left out.
    maxima, energies : array, shape (n,)
        To start from: radiation lengths and GeV.
    in_x : array of bool, shape (n_layers,)
        Layers that measure x.
    x_layers, y_layers : array of int
        The same as numbers.
    depths : array, shape (n_layers,)
        Middle of the layers, mm.
    step : float
        Thickness of a layer, radiation lengths.
    edge, pitch : float
        Lower edge of cell 0 and width of a cell, mm.
    nodes, lateral, noise, shifts, spreads, jitters
        Of :class:`~ecalnb.reconstruction.AxisParameters` and of its `LayerErrors`.
    correlations : array, shape (n_layers, n_layers)
        Of layers of a view.
    results : array, shape (n, RESULTS)
        Written.
    """
    n_layers = len(depths)
    thickness = depths[1] - depths[0]
    radiation_depths = (np.arange(n_layers) + 0.5) * step
    parts, moved, work = np.empty(n_layers), np.empty(n_layers), np.empty((4, 2 * WINDOW + 1))
    where, move, variance = np.empty(n_layers), np.empty(n_layers), np.empty(n_layers)
    matrix, vector = np.empty(3), np.empty(2)
    for event in range(len(images)):
        results[event] = np.nan
        x, slope_x, y, slope_y = lines[event]
        if not (maxima[event] > 0 and energies[event] > 0 and np.isfinite(x + slope_x + y + slope_y)):
            continue
        layers = np.zeros(n_layers)
        for layer in range(n_layers):
            for cell in range(images.shape[2]):
                layers[layer] += max(images[event, layer, cell], 0.0)
        log_maximum = math.log(min(max(maxima[event], _LEAST_MAXIMUM), DEPTH_MAX))
        log_energy = math.log(energies[event])
        steps, deviance, cells, limit = 0, 0.0, 0, 0.0
        for iteration in range(_MOST_STEPS):
            path = math.sqrt(1 + slope_x * slope_x + slope_y * slope_y)
            matrix[:] = 0.0
            vector[:] = 0.0
            deviance = _longitudinal(layers, log_maximum, log_energy, step * path, parts, moved, matrix, vector)
            cells = n_layers
            for layer in range(n_layers):
                age = radiation_depths[layer] * path / math.exp(log_maximum)
                where[layer] = depths[layer] + interpolate(age, nodes, shifts)
                slope = slope_x if in_x[layer] else slope_y
                position = (x if in_x[layer] else y) + slope * where[layer]
                crossing = max(abs(slope) * thickness, LEAST_CROSSING)
                spread = interpolate(age, nodes, spreads)
                move[layer], variance[layer], its_deviance, its_cells = _lateral(
                    images[event, layer], position, crossing, age, edge, pitch, nodes, lateral, noise, spread, work,
                    matrix, vector,
                )  # fmt: skip
                move[layer] = min(max(move[layer], -0.7 * pitch), 0.7 * pitch)
                variance[layer] += interpolate(age, nodes, jitters) ** 2
                deviance += its_deviance
                cells += its_cells
            dx, dslope_x, used_x = weighted_line(x_layers, where, move, variance)
            dy, dslope_y, used_y = weighted_line(y_layers, where, move, variance)
            determinant = matrix[0] * matrix[2] - matrix[1] ** 2
            if not (used_x >= 2 and used_y >= 2 and determinant > 0):
                steps = 0
                break
            line_covariance(x_layers, where, variance, correlations, results[event, 4:7])
            line_covariance(y_layers, where, variance, correlations, results[event, 7:10])
            # Half of the way where steps go to and fro between two cells.
            part = 1.0 if iteration < 10 else 0.5
            to_maximum = (matrix[2] * vector[0] - matrix[1] * vector[1]) / determinant
            to_energy = (matrix[0] * vector[1] - matrix[1] * vector[0]) / determinant
            before = log_maximum
            log_maximum += part * min(max(to_maximum, -0.3), 0.3)
            log_maximum = min(max(log_maximum, math.log(_LEAST_MAXIMUM)), math.log(DEPTH_MAX))
            log_energy += part * min(max(to_energy, -0.5), 0.5)
            x, slope_x, y, slope_y = x + part * dx, slope_x + part * dslope_x, y + part * dy, slope_y + part * dslope_y
            limit = 1.0 if log_maximum in (math.log(_LEAST_MAXIMUM), math.log(DEPTH_MAX)) else 0.0
            steps = iteration + 1
            small = (
                dx * dx < _SMALL**2 * results[event, 4] and dslope_x * dslope_x < _SMALL**2 * results[event, 5]
                and dy * dy < _SMALL**2 * results[event, 7] and dslope_y * dslope_y < _SMALL**2 * results[event, 8]
            )  # fmt: skip
            if small and (log_maximum - before) ** 2 * matrix[0] < _SMALL**2:
                break
        results[event, 0], results[event, 1], results[event, 2], results[event, 3] = x, slope_x, y, slope_y
        results[event, 10], results[event, 11], results[event, 12] = math.exp(log_maximum), deviance, cells - 6
        results[event, 13] = float(steps) if steps < _MOST_STEPS else -1.0
        results[event, 14] = limit
