"""The lateral shape of a shower as a layer sees it: a core and a tail, projected on the coordinate that is measured.

In a plane across the axis the energy is spread as ``2 r R^2 / (r^2 + R^2)^2`` (G. Grindhammer and S. Peters,
hep-ex/0001020, eq. 24), with one radius R for the core and one for the tail. Projected on a coordinate u, the part
between the axis and u is ``u / (2 sqrt(u^2 + R^2))``. An inclined axis moves by the length c across the layer: the mean
over it is a difference of square roots, exactly.
"""

from __future__ import annotations

import math

from .._compiled import jit

__all__ = ["LEAST_CROSSING", "cell_parts", "interpolate", "shape_at"]

LEAST_CROSSING = 0.05
"""Length across the layer that a vertical axis is taken to have, mm: the mean over none is 0 / 0."""


@jit
def interpolate(x, nodes, values):  # type: ignore[no-untyped-def]
    """Value at x of a function that is linear between nodes, and constant beyond them."""
    k = 0
    while k < len(nodes) - 2 and x > nodes[k + 1]:
        k += 1
    part = min(max((x - nodes[k]) / (nodes[k + 1] - nodes[k]), 0.0), 1.0)
    return values[k] + part * (values[k + 1] - values[k])


@jit
def shape_at(age, nodes, lateral):  # type: ignore[no-untyped-def]
    """Weight of the core, its radius and that of the tail (mm) at an age, from ``lateral`` of shape (3, n_nodes)."""
    return (
        interpolate(age, nodes, lateral[0]),
        interpolate(age, nodes, lateral[1]),
        interpolate(age, nodes, lateral[2]),
    )


@jit
def cell_parts(first, last, edge, pitch, centre, crossing, weight, core, tail, parts, slopes):  # type: ignore[no-untyped-def]
    """Part of a layer's energy in each of the cells ``first`` to ``last``, and its derivative by the axis' position.

    Parameters
    ----------
    first, last : int
        Cells; the last one included.
    edge, pitch : float
        Lower edge of cell 0 and width of a cell, mm.
    centre, crossing : float
        Coordinate of the axis in the middle of the layer, and length that it crosses there, mm.
    weight, core, tail : float
        Of `shape_at`.
    parts, slopes : array, shape (n_cells,)
        Written from index 0 on; slopes per mm.
    """
    half = crossing / 2
    before, rise_before = 0.0, 0.0
    for k in range(first, last + 2):
        u = edge + k * pitch - centre
        core_above, core_below = math.sqrt((u + half) ** 2 + core**2), math.sqrt((u - half) ** 2 + core**2)
        tail_above, tail_below = math.sqrt((u + half) ** 2 + tail**2), math.sqrt((u - half) ** 2 + tail**2)
        integral = (weight * (core_above - core_below) + (1 - weight) * (tail_above - tail_below)) / (2 * crossing)
        rise = weight * ((u + half) / core_above - (u - half) / core_below)
        rise = (rise + (1 - weight) * ((u + half) / tail_above - (u - half) / tail_below)) / (2 * crossing)
        if k > first:
            parts[k - 1 - first] = integral - before
            slopes[k - 1 - first] = rise_before - rise
        before, rise_before = integral, rise
