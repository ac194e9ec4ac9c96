"""Sharing of a layer's energy among its cells.

A layer measures one coordinate, its fibres run along the whole other one: only the density projected on the measured
coordinate matters, and a cell's part is a difference of its integral, exactly.
"""

from __future__ import annotations

import math

import numpy as np

from .._compiled import jit

__all__ = ["share_layer"]

FEW_SPOTS = 12.0
"""Below so many spots in a layer, or so few in the cells far outside, spots are drawn one by one."""

FAR_SPOTS = 0.02


@jit
def _rows(depth, age, p, rows, weights):  # type: ignore[no-untyped-def]
    """Rows of the lateral table to blend, and their weights: entry layers by depth, the others by age."""
    n_entry = len(p.entry_nodes)
    late = (depth - p.entry_nodes[n_entry - 1]) / (p.entry_nodes[1] - p.entry_nodes[0])
    late = min(max(late, 0.0), 1.0)
    position = 0
    while position < n_entry - 2 and depth > p.entry_nodes[position + 1]:
        position += 1
    fraction = (depth - p.entry_nodes[position]) / (p.entry_nodes[position + 1] - p.entry_nodes[position])
    fraction = min(max(fraction, 0.0), 1.0)
    rows[0], weights[0] = position, (1 - late) * (1 - fraction)
    rows[1], weights[1] = position + 1, (1 - late) * fraction
    n_age = len(p.age_nodes)
    position = 0
    while position < n_age - 2 and age > p.age_nodes[position + 1]:
        position += 1
    fraction = (age - p.age_nodes[position]) / (p.age_nodes[position + 1] - p.age_nodes[position])
    fraction = min(max(fraction, 0.0), 1.0)
    rows[2], weights[2] = n_entry + position, late * (1 - fraction)
    rows[3], weights[3] = n_entry + position + 1, late * fraction


@jit
def _integral(distance, p, rows, weights):  # type: ignore[no-untyped-def]
    """Part of the energy between the axis and a signed distance from it; negative on the negative side."""
    position = abs(distance) / p.lateral_step
    last = p.lateral_table.shape[1] - 1
    step = min(int(position), last - 1)
    fraction = min(position - step, 1.0)
    value = 0.0
    for i in range(4):
        if weights[i] > 0:
            row = p.lateral_table[rows[i]]
            value += weights[i] * (row[step] * (1 - fraction) + row[step + 1] * fraction)
    return value if distance > 0 else -value


@jit
def _smeared(distance, crossing, p, rows, weights):  # type: ignore[no-untyped-def]
    """`_integral` averaged over the way that the axis crosses in the layer."""
    steps = int(crossing / 2.0) + 1
    value = 0.0
    for i in range(steps):
        value += _integral(distance + crossing * ((i + 0.5) / steps - 0.5), p, rows, weights)
    return value / steps


@jit
def _distance(integral, p, rows, weights):  # type: ignore[no-untyped-def]
    """Inverse of `_integral` for a part from 0 to a half."""
    low = 0
    high = p.lateral_table.shape[1] - 1
    while high - low > 1:
        middle = (low + high) // 2
        if _integral(middle * p.lateral_step, p, rows, weights) < integral:
            low = middle
        else:
            high = middle
    below = _integral(low * p.lateral_step, p, rows, weights)
    above = _integral(high * p.lateral_step, p, rows, weights)
    fraction = (integral - below) / (above - below) if above > below else 0.5
    return (low + fraction) * p.lateral_step


@jit
def share_layer(image, layer, energy, centre, other, crossing, depth, age, p, generator):  # type: ignore[no-untyped-def]
    """Add a layer's energy to the cells of one row of the image.

    Parameters
    ----------
    image : array, shape (n_layers, n_cells)
        GeV, added to in place.
    layer : int
        The layer.
    energy : float
        GeV, of the whole layer, beyond the sides too.
    centre : float
        Measured coordinate of the axis in the middle of the layer, mm.
    other : float
        The other coordinate of the axis there, mm: what is beyond the sides along it is lost.
    crossing : float
        Length that the axis crosses in the layer along the measured coordinate, mm.
    depth, age : float
        Depth in the shower in radiation lengths, and over that of its centre of gravity.
    p : ElectromagneticParameters
        Parameters.
    generator : numpy.random.Generator
        Random numbers.
    """
    rows = np.zeros(4, dtype=np.int64)
    weights = np.zeros(4)
    _rows(depth, age, p, rows, weights)
    n_cells = image.shape[1]
    energy *= _integral(p.half_width - other, p, rows, weights) - _integral(-p.half_width - other, p, rows, weights)
    spots = energy / p.spot_mean
    if spots < FEW_SPOTS:
        count = max(generator.poisson(spots), 1)
        drawn = np.empty(count)
        total = 0.0
        for i in range(count):
            drawn[i] = generator.gamma(p.spot_shape, 1.0)
            total += drawn[i]
        for i in range(count):
            _add_spot(image, layer, energy * drawn[i] / total, centre, crossing, 0.0, p, rows, weights, generator)
        return
    first = min(max(int(math.floor((centre + p.half_width) / p.pitch)), 0), n_cells - 1)
    deposits = np.zeros(n_cells)
    total = 0.0
    far = np.zeros(2)
    for side in range(2):
        cell = first if side == 0 else first - 1
        while 0 <= cell < n_cells:
            left = _smeared(cell * p.pitch - p.half_width - centre, crossing, p, rows, weights)
            right = _smeared((cell + 1) * p.pitch - p.half_width - centre, crossing, p, rows, weights)
            expected = spots * (right - left)
            far[side] = 0.5 - right if side == 0 else left + 0.5
            deposits[cell] = _cell_energy(expected, p, generator)
            total += deposits[cell]
            cell += 1 if side == 0 else -1
    outside = spots * (far[0] + far[1]) * p.spot_mean
    if total <= 0:
        return
    scale = energy / (total + outside)
    for cell in range(n_cells):
        image[layer, cell] += deposits[cell] * scale


@jit
def _cell_energy(expected, p, generator):  # type: ignore[no-untyped-def]
    """Energy of a Poisson number of spots."""
    if expected > 40:
        quantum = p.spot_mean * (1 + 1 / p.spot_shape)
        return generator.gamma(expected * p.spot_mean / quantum, quantum)
    count = generator.poisson(expected)
    return generator.gamma(count * p.spot_shape, p.spot_mean / p.spot_shape) if count > 0 else 0.0


@jit
def _add_spot(image, layer, energy, centre, crossing, inner, p, rows, weights, generator):  # type: ignore[no-untyped-def]
    """Add one spot further from the axis than the part ``inner`` of the energy."""
    part = inner + (0.5 - inner) * generator.random()
    distance = _distance(part, p, rows, weights)
    side = 1.0 if generator.random() < 0.5 else -1.0
    position = centre + side * distance + crossing * (generator.random() - 0.5)
    cell = int(math.floor((position + p.half_width) / p.pitch))
    if 0 <= cell < image.shape[1]:
        image[layer, cell] += energy
