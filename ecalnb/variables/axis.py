"""The shower's own axis, from the image alone: a straight line through the centres of gravity of the layers.

This is the axis that shower variables are measured from. It is not meant as a measurement of the direction.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from .._compiled import jit
from ..geometry import Tracks
from ..showers import Showers

__all__ = ["shower_axis", "track_matching"]

FloatArray = npt.NDArray[np.float64]

_WINDOW = 3.5  # cells on either side of the line that the next one is fitted to
_PASSES = 3


def shower_axis(showers: Showers) -> Tracks:
    """Fit a line to each event, in the x and in the y layers.

    The first line goes through the highest cells of the layers and their neighbours. Each of the next two is fitted to
    the cells within +-3.5 cells of the line before, so that fragments far away do not pull it. Each cell counts with
    its energy.

    Parameters
    ----------
    showers : Showers
        Events; tracks are not used.

    Returns
    -------
    Tracks
        NaN for an event with energy in fewer than two layers of a view.
    """
    geometry = showers.geometry
    x_line, y_line = np.full((2, 2, len(showers)), np.nan)
    for layers, line in ((geometry.layers("x"), x_line), (geometry.layers("y"), y_line)):
        _fit_lines(showers.images, layers, geometry.layer_depths, geometry.cell_centers(), line)
    (x, slope_x), (y, slope_y) = x_line, y_line
    return Tracks(
        np.where(np.isnan(y), np.nan, x),
        np.where(np.isnan(x), np.nan, y),
        np.arctan(np.hypot(slope_x, slope_y)),
        np.arctan2(slope_y, slope_x),
    )


def track_matching(showers: Showers) -> tuple[FloatArray, FloatArray]:
    """Distance of the track from the shower's own axis at the mean depth of its energy, where that is known best.

    Parameters
    ----------
    showers : Showers
        Events with tracks.

    Returns
    -------
    x, y : array, shape (n,)
        Track minus shower, mm; NaN where the event has no axis.
    """
    layers, depths = showers.layer_energies, showers.geometry.layer_depths
    with np.errstate(invalid="ignore"):
        depth = layers @ depths / layers.sum(axis=1)
    axis, track = shower_axis(showers), showers.tracks
    return (
        track.x - axis.x + depth * (track.slope_x - axis.slope_x),
        track.y - axis.y + depth * (track.slope_y - axis.slope_y),
    )


@jit
def _fit_lines(images, layers, depths, centers, lines):  # type: ignore[no-untyped-def]
    n_cells = len(centers)
    pitch = centers[1] - centers[0]
    middle = np.empty(len(depths))
    for event in range(images.shape[0]):
        for layer in layers:
            top = 0
            for cell in range(n_cells):
                if images[event, layer, cell] > images[event, layer, top]:
                    top = cell
            middle[layer] = centers[top]
        intercept, slope = np.nan, np.nan
        for _ in range(_PASSES):
            s = sz = szz = sy = szy = 0.0
            for layer in layers:
                low = max(0, int(np.ceil((middle[layer] - centers[0]) / pitch - _WINDOW)))
                high = min(n_cells - 1, int(np.floor((middle[layer] - centers[0]) / pitch + _WINDOW)))
                for cell in range(low, high + 1):
                    energy = images[event, layer, cell]
                    s += energy
                    sz += energy * depths[layer]
                    szz += energy * depths[layer] * depths[layer]
                    sy += energy * centers[cell]
                    szy += energy * depths[layer] * centers[cell]
            spread = s * szz - sz * sz
            if not spread > 1e-9 * s * szz:
                intercept, slope = np.nan, np.nan
                break
            slope = (s * szy - sz * sy) / spread
            intercept = (sy - slope * sz) / s
            for layer in layers:
                middle[layer] = intercept + slope * depths[layer]
        lines[0, event], lines[1, event] = intercept, slope
