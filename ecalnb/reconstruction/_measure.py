"""Position of the shower in each layer, near a line that is known already: three ways to measure it.

A layer that does not measure one gets an infinite variance.
"""

from __future__ import annotations

import numpy as np

from .._compiled import jit
from ._shape import cell_parts, interpolate, shape_at

__all__ = ["CENTROID", "GRID", "RATIO", "WINDOW", "cell_variance", "expected_statistic", "measure_fit"]
__all__ += ["measure_statistic", "score"]

WINDOW = 5
"""Cells on either side of the line's cell that a fit of the lateral shape sees."""

CENTROID = np.array([[-2.0, -1.0, 0.0, 1.0, 2.0], [1.0, 1.0, 1.0, 1.0, 1.0]])
"""Centre of gravity of five cells: a ratio of two sums over them, with these factors."""

RATIO = np.array([[0.0, -1.0, 0.0, 1.0, 0.0], [0.0, 1.0, 1.0, 1.0, 0.0]])
"""Difference of the two neighbours of the cell with most energy over the sum of the three."""

GRID = np.linspace(-1.0, 1.0, 41)
"""Positions of the axis from the middle of its cell, in cells, at which a statistic's expectation is known."""

_REACH = 2  # cells on either side of the highest one that a statistic sees


@jit
def cell_variance(energy, noise):  # type: ignore[no-untyped-def]
    """Variance of a cell's energy: a quantum per deposit, a relative part, and a floor; ``noise`` holds all three."""
    return noise[0] * energy + (noise[1] * energy) ** 2 + noise[2] ** 2


@jit
def expected_statistic(factors, pitch, crossing, weight, core, tail, grid, result):  # type: ignore[no-untyped-def]
    """Ratio of the sums that ``factors`` make of five cells, for each position of the axis in the middle one."""
    n = factors.shape[1]
    parts, slopes = np.empty(n), np.empty(n)
    for i in range(len(grid)):
        cell_parts(0, n - 1, -n / 2 * pitch, pitch, grid[i] * pitch, crossing, weight, core, tail, parts, slopes)
        result[i] = (factors[0] * parts).sum() / (factors[1] * parts).sum()


@jit
def measure_statistic(images, centres, ages, edge, pitch, nodes, table, factors, noise, positions, variances):  # type: ignore[no-untyped-def]
    """Position from the ratio of two sums over the cells next to the highest one, by the curve that it should follow.

    Parameters
    ----------
    images : array, shape (n, n_layers, n_cells)
    centres, ages : array, shape (n, n_layers)
        Coordinate of the line in each layer, mm, and depth over that of the shower maximum.
    edge, pitch : float
        Lower edge of cell 0 and width of a cell, mm.
    nodes, table : array, shape (n_nodes,) and (n_nodes, len(GRID))
        Expectation of the ratio at each age and position.
    factors : array, shape (2, 5)
        `CENTROID` or `RATIO`.
    noise : array, shape (3,)
        Of `cell_variance`.
    positions, variances : array, shape (n, n_layers)
        mm and mm^2; written.
    """
    n_cells = images.shape[2]
    curve = np.empty(table.shape[1])
    for event in range(len(images)):
        for layer in range(images.shape[1]):
            positions[event, layer], variances[event, layer] = 0.0, np.inf
            row, centre = images[event, layer], centres[event, layer]
            middle = np.floor((centre - edge) / pitch)
            if not _REACH <= middle < n_cells - _REACH:
                continue
            top = int(middle)
            for cell in (int(middle) - 1, int(middle) + 1):
                if row[cell] > row[top]:
                    top = cell
            if not _REACH <= top < n_cells - _REACH:
                continue
            above, below = 0.0, 0.0
            for k in range(2 * _REACH + 1):
                above += factors[0, k] * row[top - _REACH + k]
                below += factors[1, k] * row[top - _REACH + k]
            if not below > 0:
                continue
            ratio = above / below
            spread = 0.0
            for k in range(2 * _REACH + 1):
                # A cell that shows nothing might have: a quantum more stands for what it expected.
                energy = max(row[top - _REACH + k], 0.0) + noise[0]
                spread += ((factors[0, k] - ratio * factors[1, k]) / below) ** 2 * cell_variance(energy, noise)
            node = 0
            while node < len(nodes) - 2 and ages[event, layer] > nodes[node + 1]:
                node += 1
            part = min(max((ages[event, layer] - nodes[node]) / (nodes[node + 1] - nodes[node]), 0.0), 1.0)
            for i in range(len(curve)):
                curve[i] = (1 - part) * table[node, i] + part * table[node + 1, i]
            middle_of_top = edge + (top + 0.5) * pitch
            positions[event, layer] = middle_of_top + pitch * interpolate(ratio, curve, GRID)
            # The error where the line is, not where the layer says: a fluctuation must not give itself weight.
            i = int((min(max((centre - middle_of_top) / pitch, -1.0), 1.0) - GRID[0]) / (GRID[1] - GRID[0]))
            i = min(i, len(curve) - 2)
            rise = (curve[i + 1] - curve[i]) / (pitch * (GRID[1] - GRID[0]))
            variances[event, layer] = spread / rise**2 if rise > 1e-9 else np.inf


@jit
def score(row, first, last, parts, slopes, noise):  # type: ignore[no-untyped-def]
    """Differentiate the log likelihood of a layer's cells by what ``slopes`` are for; its variance, and the energy.

    The layer's energy is fitted with it. Each cell has a normal distribution with a variance that goes with its
    expectation, of which the derivative is left out (a quasi-likelihood, R. Wedderburn, Biometrika 61 (1974) 439).
    """
    whole, inside = 0.0, 0.0
    for k in range(last - first + 1):
        whole += max(row[first + k], 0.0)
        inside += parts[k]
    if not (whole > 0 and inside > 1e-6):
        return 0.0, 0.0, 0.0
    energy = whole / inside
    derivative = information = energy_score = energy_information = mixed = 0.0
    for k in range(last - first + 1):
        expected = energy * parts[k]
        weight = 1 / cell_variance(expected, noise)
        residual = max(row[first + k], 0.0) - expected
        slope = energy * slopes[k]
        derivative += weight * residual * slope
        information += weight * slope * slope
        energy_score += weight * residual * parts[k]
        energy_information += weight * parts[k] * parts[k]
        mixed += weight * slope * parts[k]
    share = mixed / energy_information
    return derivative - share * energy_score, information - share * mixed, energy


@jit
def measure_fit(images, centres, ages, crossings, edge, pitch, nodes, lateral, noise, steps, positions, variances):  # type: ignore[no-untyped-def]
    """Position at which the lateral shape fits the cells of a layer best, by ``steps`` of Fisher's scoring.

    Parameters as for `measure_statistic`; ``crossings`` are the lengths that the line crosses in a layer, mm, and
    ``lateral`` the shape at each node. The variance is that at the line.
    """
    n_cells = images.shape[2]
    parts, slopes = np.empty(2 * WINDOW + 1), np.empty(2 * WINDOW + 1)
    for event in range(len(images)):
        for layer in range(images.shape[1]):
            positions[event, layer], variances[event, layer] = 0.0, np.inf
            line = centres[event, layer]
            middle = np.floor((line - edge) / pitch)
            if not 0 <= middle < n_cells:
                continue
            first, last = max(int(middle) - WINDOW, 0), min(int(middle) + WINDOW, n_cells - 1)
            weight, core, tail = shape_at(ages[event, layer], nodes, lateral)
            position = line
            for step in range(steps):
                cell_parts(
                    first, last, edge, pitch, position, crossings[event, layer], weight, core, tail, parts, slopes
                )
                derivative, information, _ = score(images[event, layer], first, last, parts, slopes, noise)
                if not information > 1e-6:
                    break
                if step == 0:
                    variances[event, layer] = 1 / information
                move = min(max(derivative / information, -0.5 * pitch), 0.5 * pitch)
                position = min(max(position + move, line - 1.5 * pitch), line + 1.5 * pitch)
            positions[event, layer] = position
