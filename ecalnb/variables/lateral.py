"""How the energy of a shower is spread about an axis: the track's, or the shower's own.

Distances are along the layers, in the coordinate that each layer measures, between the axis and the middle of a cell.
Functions that take ``axis`` use the shower's own (:func:`shower_axis`) unless told; they are NaN for events whose axis
is.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from .._compiled import jit
from ..geometry import Tracks
from ..showers import Showers
from ._ratio import ratio
from .axis import shower_axis

__all__ = ["core_fraction", "energy_near", "hit_cells", "lateral_rms", "lateral_tail", "maximum_cell_fraction"]
__all__ += ["neighbour_ratios", "tail_fraction"]

FloatArray = npt.NDArray[np.float64]


def energy_near(showers: Showers, axis: Tracks, distance: float) -> FloatArray:
    """Energy of each layer in cells whose middle is at most ``distance`` mm from the axis, GeV, shape (n, n_layers).

    NaN for an event whose axis is.
    """
    return _weighted_near(showers, axis, distance, 0)


def core_fraction(showers: Showers, cells: int = 1, axis: Tracks | None = None) -> FloatArray:
    """Fraction of the energy within +-``cells`` cells of the axis, shape (n,): in 3 cells a layer for one.

    NaN for an event without energy.
    """
    if cells < 0:
        raise ValueError(f"cells is {cells!r}; expected 0 (the cell on the axis) or more on either side")
    axis = shower_axis(showers) if axis is None else axis
    near = energy_near(showers, axis, (cells + 0.5) * showers.geometry.cell_pitch)
    return ratio(near.sum(axis=1), showers.energies)


def tail_fraction(showers: Showers, cells: int = 5, axis: Tracks | None = None) -> FloatArray:
    """Fraction of the energy beyond +-``cells`` cells of the axis, shape (n,); NaN for an event without energy."""
    return np.maximum(1 - core_fraction(showers, cells, axis), 0)


def lateral_tail(showers: Showers, distance: float) -> FloatArray:
    """Fraction of the energy in cells whose middle is further from the track than ``distance``, shape (n,).

    Parameters
    ----------
    showers : Showers
        Events with tracks.
    distance : float
        mm, along the coordinate that each layer measures.

    Returns
    -------
    array, shape (n,)
        NaN for an event without energy or track.
    """
    total = showers.energies
    near = energy_near(showers, showers.tracks, distance).sum(axis=1)
    return ratio(np.maximum(total - near, 0), total)


def lateral_rms(
    showers: Showers, layers: slice = slice(None), axis: Tracks | None = None, *, cells: int = 10
) -> FloatArray:
    """Energy-weighted root mean square distance from the axis, mm, shape (n,).

    Parameters
    ----------
    showers : Showers
        Events.
    layers : slice
        Layers that count.
    axis : Tracks, optional
        The shower's own axis unless told.
    cells : int
        Cells further away than so many do not count, so that little energy far away does not decide.

    Returns
    -------
    array, shape (n,)
        NaN where those cells have no energy.
    """
    axis = shower_axis(showers) if axis is None else axis
    distance = (cells + 0.5) * showers.geometry.cell_pitch
    squares, energy = (_weighted_near(showers, axis, distance, power)[:, layers].sum(axis=1) for power in (2, 0))
    return np.sqrt(ratio(squares, energy))


def neighbour_ratios(showers: Showers) -> tuple[FloatArray, FloatArray]:
    """S1/S3 and S3/S5: energy in 1, 3 and 5 neighbouring cells about the highest of each layer, summed over layers.

    Returns
    -------
    s1_s3, s3_s5 : arrays, shape (n,)
        NaN for an event without energy.
    """
    sums = np.zeros((len(showers), 3))
    _neighbour_sums(showers.images, sums)
    return ratio(sums[:, 0], sums[:, 1]), ratio(sums[:, 1], sums[:, 2])


def maximum_cell_fraction(showers: Showers) -> FloatArray:
    """Fraction of the energy in the highest cell, shape (n,); NaN for an event without energy."""
    return ratio(showers.images.max(axis=(1, 2)).astype(float), showers.energies)


def hit_cells(showers: Showers, threshold: float = 0.002) -> FloatArray:
    """Count the cells with more than ``threshold`` GeV, shape (n,)."""
    counts = np.zeros(len(showers))
    _count_above(showers.images, np.float32(threshold), counts)
    return counts


def _weighted_near(showers: Showers, axis: Tracks, distance: float, power: int) -> FloatArray:
    """Sum over the cells near the axis of energy times distance to a power, shape (n, n_layers)."""
    geometry = showers.geometry
    if len(axis) != len(showers):
        raise ValueError(f"there are {len(axis)} axes for {len(showers)} showers; expected one each")
    result = np.full((len(showers), geometry.n_layers), np.nan)
    _sum_near(showers.images, geometry.project(axis), geometry.cell_centers(), distance, power, result)
    return result


@jit
def _sum_near(images, axis, centers, distance, power, result):  # type: ignore[no-untyped-def]
    first, pitch = centers[0], centers[1] - centers[0]
    for event in range(images.shape[0]):
        for layer in range(images.shape[1]):
            position = axis[event, layer]
            if not abs(position) < 1e9:
                continue
            low = max(0, int(np.ceil((position - distance - first) / pitch - 1e-9)))
            high = min(images.shape[2] - 1, int(np.floor((position + distance - first) / pitch + 1e-9)))
            total = 0.0
            for cell in range(low, high + 1):
                energy = images[event, layer, cell]
                if energy != 0:
                    total += energy * (centers[cell] - position) ** power
            result[event, layer] = total


@jit
def _neighbour_sums(images, sums):  # type: ignore[no-untyped-def]
    n_cells = images.shape[2]
    for event in range(images.shape[0]):
        for layer in range(images.shape[1]):
            row = images[event, layer]
            top = 0
            for cell in range(n_cells):
                if row[cell] > row[top]:
                    top = cell
            for cell in range(max(0, top - 2), min(n_cells, top + 3)):
                away = abs(cell - top)
                sums[event, 2] += row[cell]
                if away <= 1:
                    sums[event, 1] += row[cell]
                if away == 0:
                    sums[event, 0] += row[cell]


@jit
def _count_above(images, threshold, counts):  # type: ignore[no-untyped-def]
    for event in range(images.shape[0]):
        for layer in range(images.shape[1]):
            for cell in range(images.shape[2]):
                if images[event, layer, cell] > threshold:
                    counts[event] += 1
