"""A shower in space, as arrays: its bars, the points where bars of the two views cross, axes, and cameras.

Nothing here draws. A cell is what it is in the calorimeter: a bar as wide as the cell, as high as the layer, and as
long as the calorimeter is wide, across the coordinate that its layer measures. Coordinates are ``(x, y, z)`` in mm with
``z = -depth``, so that a particle comes from above as it does in AMS.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..geometry import Calorimeter, Tracks

__all__ = [
    "CAMERAS",
    "FIELD_OF_VIEW",
    "Bars",
    "Points",
    "all_bars",
    "axis_line",
    "box_mesh",
    "camera",
    "crossings",
    "hit_bars",
]
__all__ += ["outline"]

FloatArray = npt.NDArray[np.float64]

# Of each camera: direction from which it looks, what is up, width and height of what it sees and how far from the
# middle that is, the last three in widths of the calorimeter.
_VIEWS = {
    "perspective": ((-0.45, -0.95, 0.55), (0, 0, 1), (1.55, 1.10), 0.0),
    "top": ((0, 0, 1), (0, 1, 0), (1.2, 1.2), 0.1),
    "XZ": ((0, -1, 0), (0, 0, 1), (1.25, 0.5), 0.5),
    "YZ": ((1, 0, 0), (0, 0, 1), (1.25, 0.5), 0.5),
}

FIELD_OF_VIEW = 12.0
"""Opening angle of the cameras, degrees: parallel lines are nearly parallel in the picture.

One for all of them: when k3d is told another, it forgets where the camera was to go.
"""

CAMERAS = tuple(_VIEWS)
"""Directions that a shower can be looked at from; see :func:`camera`."""


# Corners of a unit cube, the triangles of its sides (seen from outside they turn left), and its edges.
_CORNERS = np.array([[i & 1, i >> 1 & 1, i >> 2] for i in range(8)])
_TRIANGLES = np.array(
    [
        [0, 2, 1], [1, 2, 3], [4, 5, 6], [5, 7, 6], [0, 1, 4], [1, 5, 4],
        [2, 6, 3], [3, 6, 7], [0, 4, 2], [2, 4, 6], [1, 3, 5], [3, 7, 5],
    ]
)  # fmt: skip
_EDGES = np.array([[0, 1], [2, 3], [4, 5], [6, 7], [0, 2], [1, 3], [4, 6], [5, 7], [0, 4], [1, 5], [2, 6], [3, 7]])
_ALONG = np.repeat([0, 1, 2], 4)  # coordinate along each edge


@dataclass(frozen=True)
class Bars:
    """Cells of an event as boxes in space.

    Parameters
    ----------
    layer, cell : array of int, shape (n,)
        Which cells.
    energy : array, shape (n,)
        GeV.
    low, high : array, shape (n, 3)
        Opposite corners, mm.
    """

    layer: npt.NDArray[np.intp]
    cell: npt.NDArray[np.intp]
    energy: FloatArray
    low: FloatArray
    high: FloatArray

    def __len__(self) -> int:
        return len(self.layer)


@dataclass(frozen=True)
class Points:
    """Energy at points in space.

    Parameters
    ----------
    position : array, shape (n, 3)
        mm.
    energy : array, shape (n,)
        GeV.
    """

    position: FloatArray
    energy: FloatArray

    def __len__(self) -> int:
        return len(self.energy)


def all_bars(geometry: Calorimeter) -> tuple[FloatArray, FloatArray]:
    """Opposite corners of the bars of all cells, mm, both of shape (n_layers, n_cells, 3)."""
    side = geometry.width / 2
    low = np.broadcast_to([-side, -side, 0.0], (*geometry.shape, 3)).copy()
    high = np.broadcast_to([side, side, 0.0], (*geometry.shape, 3)).copy()
    edges = geometry.cell_edges()
    for layer, view in enumerate(geometry.views):
        low[layer, :, "xy".index(view)], high[layer, :, "xy".index(view)] = edges[:-1], edges[1:]
    top = -np.arange(geometry.n_layers) * geometry.layer_thickness
    low[..., 2], high[..., 2] = (top - geometry.layer_thickness)[:, None], top[:, None]
    return low, high


def hit_bars(image: npt.ArrayLike, geometry: Calorimeter, threshold: float = 0.0) -> Bars:
    """Bars of the cells with more energy than a threshold.

    Parameters
    ----------
    image : array_like, shape (n_layers, n_cells)
        Cell energies, GeV. Cells whose energy is not finite have no bar.
    geometry : Calorimeter
        Where the cells lie.
    threshold : float
        GeV.

    Raises
    ------
    ValueError
        If the image has not the shape of the calorimeter.
    """
    image = checked(image, geometry)
    layer, cell = np.nonzero(np.isfinite(image) & (image > threshold))
    low, high = all_bars(geometry)
    return Bars(layer, cell, image[layer, cell], low[layer, cell], high[layer, cell])


def checked(image: npt.ArrayLike, geometry: Calorimeter) -> FloatArray:
    """Return an image as floating-point numbers, after checking that it is of the calorimeter."""
    image = np.asarray(image, dtype=float)
    if image.shape != geometry.shape:
        raise ValueError(f"image has shape {image.shape}; {geometry.name} needs {geometry.shape}")
    return image


def box_mesh(low: FloatArray, high: FloatArray) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.uint32]]:
    """Boxes as one mesh of triangles, 8 vertices and 12 triangles each, in the order of the boxes.

    Parameters
    ----------
    low, high : array, shape (n, 3)
        Opposite corners.

    Returns
    -------
    vertices : array, shape (8 n, 3)
    triangles : array, shape (12 n, 3)
        Numbers of vertices.
    """
    return _vertices(low, high), _numbers(_TRIANGLES, len(low))


def outline(
    low: FloatArray, high: FloatArray, *, ends_only: bool = False
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.uint32]]:
    """Edges of boxes.

    Parameters
    ----------
    low, high : array, shape (n, 3)
        Opposite corners.
    ends_only : bool
        Only the edges of the two sides at the ends of the longer one of x and y: the ends of a bar.

    Returns
    -------
    vertices : array, shape (8 n, 3)
    edges : array, shape (12 n, 2) or, of the ends, (8 n, 2)
        Numbers of vertices.
    """
    edges = _numbers(_EDGES, len(low))
    if ends_only:
        size = high - low
        across = _ALONG[None] != np.argmax(size[:, :2], axis=1)[:, None]
        edges = edges[across.ravel()]
    return _vertices(low, high), edges


def _vertices(low: FloatArray, high: FloatArray) -> npt.NDArray[np.float32]:
    corners = np.where(_CORNERS[None], high[:, None], low[:, None])
    return corners.reshape(-1, 3).astype(np.float32)


def _numbers(of_one: npt.NDArray[np.intp], n: int) -> npt.NDArray[np.uint32]:
    numbers = of_one[None] + 8 * np.arange(n)[:, None, None]
    return numbers.reshape(-1, of_one.shape[1]).astype(np.uint32)


def crossings(image: npt.ArrayLike, geometry: Calorimeter, threshold: float = 0.0) -> Points:
    """Energy in space, where the bars of the two views cross.

    A bar says nothing about the coordinate along it. The energy of a cell is shared out along its bar as the next
    layers of the other view above and below have it, interpolated between the two in depth; at the ends there is only
    one of them. That is exact where the two coordinates are independent within a layer. Two particles in one shower
    make four peaks, of which two are not there.

    Parameters
    ----------
    image : array_like, shape (n_layers, n_cells)
        Cell energies, GeV; those that are not finite or negative count as 0.
    geometry : Calorimeter
        Where the cells lie.
    threshold : float
        Points with less energy than this are left out, GeV.

    Returns
    -------
    Points
        Before the threshold they add up to the energy of the layers that have a neighbour of the other view with
        energy.

    Raises
    ------
    ValueError
        If the image has not the shape of the calorimeter.
    """
    image = checked(image, geometry)
    image = np.where(np.isfinite(image) & (image > 0), image, 0.0)
    total = image.sum(axis=1, keepdims=True)
    shares = np.divide(image, total, out=np.zeros_like(image), where=total > 0)
    centers, depths = geometry.cell_centers(), geometry.layer_depths
    positions, energies = [], []
    for layer in np.flatnonzero(total[:, 0] > 0).tolist():
        along = _along(shares, depths, layer, geometry)
        cell, crossed = np.nonzero(np.outer(image[layer], along) > threshold)
        across, other = centers[cell], centers[crossed]
        x, y = (across, other) if geometry.views[layer] == "x" else (other, across)
        positions.append(np.stack([x, y, np.full(len(x), -depths[layer])], axis=1))
        energies.append(image[layer, cell] * along[crossed])
    if not positions:
        return Points(np.empty((0, 3)), np.empty(0))
    return Points(np.concatenate(positions), np.concatenate(energies))


def _along(shares: FloatArray, depths: FloatArray, layer: int, geometry: Calorimeter) -> FloatArray:
    """Share of each place along the bars of a layer, from its neighbours of the other view, (n_cells,)."""
    others = geometry.layers("y" if geometry.views[layer] == "x" else "x")
    others = others[shares[others].sum(axis=1) > 0]
    above, below = others[others < layer], others[others > layer]
    if not len(above) or not len(below):
        nearest = [*above[-1:], *below[:1]]
        return shares[nearest].sum(axis=0)
    weight = (depths[layer] - depths[above[-1]]) / (depths[below[0]] - depths[above[-1]])
    interpolated: FloatArray = (1 - weight) * shares[above[-1]] + weight * shares[below[0]]
    return interpolated


def axis_line(axis: Tracks, geometry: Calorimeter, margin: float = 90.0) -> FloatArray | None:
    """Two ends of a line through the calorimeter, from ``margin`` mm above it to as much below; None for NaN.

    Parameters
    ----------
    axis : Tracks
        One line.
    geometry : Calorimeter
        What it goes through.
    margin : float
        mm.

    Returns
    -------
    array, shape (2, 3), or None
    """
    if len(axis) != 1:
        raise ValueError(f"{len(axis)} lines given; an event display draws one of each kind")
    depth = np.array([-margin, geometry.thickness + margin])
    x, y = axis.at(depth)
    ends = np.stack([x[0], y[0], -depth], axis=1)
    return ends if np.isfinite(ends).all() else None


def camera(name: str, geometry: Calorimeter, aspect: float = 1.3) -> list[float]:
    """Place a camera so that the whole calorimeter is seen.

    Parameters
    ----------
    name : {"perspective", "top", "XZ", "YZ"}
        Direction of view: from the side and above; from where particles come; along y, with x to the right; along x,
        with y to the right.
    geometry : Calorimeter
        What to look at.
    aspect : float
        Width of the picture over its height.

    Returns
    -------
    list of 9 float
        Position, point looked at, and the direction that is up, as k3d takes them, mm.

    Raises
    ------
    ValueError
        If there is no such camera.
    """
    if name not in _VIEWS:
        raise ValueError(f"camera {name!r} is not one of {', '.join(CAMERAS)}")
    direction, up, size, near = _VIEWS[name]
    towards = np.array(direction) / np.linalg.norm(direction)
    width, height = size[0] * geometry.width, size[1] * geometry.width
    half = max(width / aspect, height) / 2
    target = np.array([0.0, 0.0, -geometry.thickness / 2])
    distance = near * geometry.width + half / np.tan(np.radians(FIELD_OF_VIEW / 2))
    return [float(value) for value in (*(target + towards * distance), *target, *up)]
