"""The calorimeter: layers, cells, views, and the path of a track through them.

This module holds the one coordinate convention of the package and every number that describes the detector.

Coordinates
-----------
``x`` and ``y`` are the AMS axes in mm, with the origin in the middle of the calorimeter. ``depth`` in mm counts
downwards from the front face, where it is 0: AMS's z axis points up, so ``depth = z_front - z``. A particle comes from
above and its direction of travel is ``(sin i cos a, sin i sin a, cos i)`` along ``(x, y, depth)``, with the inclination
``i`` from the vertical and the azimuth ``a``, both in rad. AMS files give the zenith angle ``pi - i`` instead;
:mod:`ecalnb.ntuples` converts it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["AMS", "Calorimeter", "Tracks", "View"]

View = Literal["x", "y"]
FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Tracks:
    """Straight tracks, given at the front face.

    Parameters
    ----------
    x, y : array_like, shape (n,)
        Position at depth 0, mm.
    inclination : array_like, shape (n,)
        Angle between the direction of travel and the vertical, rad, 0 to below pi/2.
    azimuth : array_like, shape (n,)
        Azimuth of the direction of travel, rad.

    Raises
    ------
    ValueError
        If an inclination is not that of a downgoing particle.
    """

    x: FloatArray
    y: FloatArray
    inclination: FloatArray
    azimuth: FloatArray

    def __post_init__(self) -> None:
        arrays = (np.atleast_1d(np.asarray(v, dtype=float)) for v in (self.x, self.y, self.inclination, self.azimuth))
        for name, value in zip(("x", "y", "inclination", "azimuth"), np.broadcast_arrays(*arrays), strict=True):
            object.__setattr__(self, name, value)
        outside = (self.inclination < 0) | (self.inclination >= np.pi / 2)
        if outside.any():
            value = self.inclination[outside][0]
            raise ValueError(
                f"inclination {value:.4g} rad is not that of a downgoing track; expected 0 to below pi/2 "
                "(AMS's zenith angle is pi minus the inclination)"
            )

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, tracks: slice | npt.NDArray[np.integer] | npt.NDArray[np.bool_]) -> Tracks:
        return Tracks(self.x[tracks], self.y[tracks], self.inclination[tracks], self.azimuth[tracks])

    @classmethod
    def from_table(cls, table: pd.DataFrame, prefix: str = "track") -> Tracks:
        """Tracks from the columns ``{prefix}_x``, ``_y``, ``_inclination`` and ``_azimuth`` of an event table."""
        names = [f"{prefix}_{name}" for name in ("x", "y", "inclination", "azimuth")]
        if missing := [name for name in names if name not in table.columns]:
            raise KeyError(f"the event table has no column {', '.join(missing)}; a track needs {', '.join(names)}")
        return cls(*(table[name].to_numpy(dtype=float) for name in names))

    @property
    def slope_x(self) -> FloatArray:
        """dx/d(depth)."""
        return np.tan(self.inclination) * np.cos(self.azimuth)

    @property
    def slope_y(self) -> FloatArray:
        """dy/d(depth)."""
        return np.tan(self.inclination) * np.sin(self.azimuth)

    def at(self, depth: npt.ArrayLike) -> tuple[FloatArray, FloatArray]:
        """Position (x, y) in mm at each depth in mm; both of shape (n, n_depths)."""
        depth = np.atleast_1d(np.asarray(depth, dtype=float))
        return (
            self.x[:, None] + self.slope_x[:, None] * depth,
            self.y[:, None] + self.slope_y[:, None] * depth,
        )


def _depths_between_sides(position: FloatArray, slope: FloatArray, half: float) -> tuple[FloatArray, FloatArray]:
    """Depths at which a line comes between the planes at -half and +half and leaves them; inf where it never does."""
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        crossings = np.stack([(-half - position) / slope, (half - position) / slope])
    inside = abs(position) <= half
    first = np.where(slope == 0, np.where(inside, -np.inf, np.inf), crossings.min(axis=0))
    last = np.where(slope == 0, np.where(inside, np.inf, -np.inf), crossings.max(axis=0))
    return first, last


@dataclass(frozen=True)
class Calorimeter:
    """A layered calorimeter whose layers each measure one coordinate in equal cells.

    Another instrument is another instance: nothing else in the package knows these numbers.

    Parameters
    ----------
    name : str
        Name, kept in the metadata of stores and files.
    views : str or tuple of {"x", "y"}
        The coordinate that each layer measures, the layer first hit by a downgoing particle first.
    n_cells : int
        Cells in a layer.
    cell_pitch, layer_thickness : float
        Width of a cell and height of a layer, mm.
    radiation_lengths, interaction_lengths : float
        Whole depth in radiation lengths and in nuclear interaction lengths.

    Raises
    ------
    ValueError
        If a view is neither x nor y, or a number is not positive.
    """

    name: str
    views: tuple[View, ...]
    n_cells: int
    cell_pitch: float
    layer_thickness: float
    radiation_lengths: float
    interaction_lengths: float

    def __post_init__(self) -> None:
        object.__setattr__(self, "views", tuple(self.views))
        if not self.views or set(self.views) - set(get_args(View)):
            raise ValueError(f"views of {self.name!r} are {self.views!r}; expected one of 'x' and 'y' for each layer")
        for field in ("n_cells", "cell_pitch", "layer_thickness", "radiation_lengths", "interaction_lengths"):
            if not getattr(self, field) > 0:
                raise ValueError(f"{field} of {self.name!r} is {getattr(self, field)!r}; expected a positive number")

    @property
    def n_layers(self) -> int:
        """Number of layers."""
        return len(self.views)

    @property
    def shape(self) -> tuple[int, int]:
        """Shape of a shower image: (layers, cells)."""
        return self.n_layers, self.n_cells

    @property
    def width(self) -> float:
        """Side of the active area, mm."""
        return self.n_cells * self.cell_pitch

    @property
    def thickness(self) -> float:
        """Whole depth, mm."""
        return self.n_layers * self.layer_thickness

    @property
    def layer_depths(self) -> FloatArray:
        """Depth of the middle of each layer, mm, shape (n_layers,)."""
        return (np.arange(self.n_layers, dtype=np.float64) + 0.5) * self.layer_thickness

    @property
    def layer_depths_x0(self) -> FloatArray:
        """Depth of the middle of each layer in radiation lengths, shape (n_layers,)."""
        return self.layer_depths * self.radiation_lengths / self.thickness

    def layers(self, view: View) -> npt.NDArray[np.intp]:
        """Return the indices of the layers that measure ``view``."""
        if view not in get_args(View):
            raise ValueError(f"view {view!r} is not one of 'x', 'y'")
        return np.flatnonzero(np.array(self.views) == view)

    def swap_views(self) -> Calorimeter:
        """Return the same calorimeter with the x and y layers exchanged."""
        return replace(self, views=tuple("y" if view == "x" else "x" for view in self.views))

    def cell_centers(self, cells: npt.ArrayLike | None = None) -> FloatArray:
        """Coordinate of the middle of cells (all of a layer unless told), mm; NaN for a cell that does not exist."""
        cells = np.arange(self.n_cells) if cells is None else np.asarray(cells, dtype=float)
        centers = (cells + 0.5) * self.cell_pitch - self.width / 2
        return np.where((cells >= 0) & (cells < self.n_cells), centers, np.nan)

    def cell_edges(self) -> FloatArray:
        """Borders of the cells of a layer, mm, shape (n_cells + 1,)."""
        return np.arange(self.n_cells + 1, dtype=np.float64) * self.cell_pitch - self.width / 2

    def cell_at(self, coordinate: npt.ArrayLike) -> FloatArray:
        """Cell that holds each coordinate in mm; NaN outside the active area.

        The result is float so that it can say "outside", and so that it is not taken for an index unchecked.
        """
        cell = np.floor((np.asarray(coordinate, dtype=float) + self.width / 2) / self.cell_pitch)
        return np.where((cell >= 0) & (cell < self.n_cells), cell, np.nan)

    def project(self, tracks: Tracks) -> FloatArray:
        """Coordinate of tracks at the middle of each layer, in the view that the layer measures.

        Returns
        -------
        array, shape (n, n_layers)
            mm. The line is followed beyond the sides too; `cell_at` tells where it is outside.
        """
        x, y = tracks.at(self.layer_depths)
        return np.where(np.array(self.views) == "x", x, y)

    def path_length(self, tracks: Tracks) -> FloatArray:
        """Length of tracks inside each layer, mm, shape (n, n_layers).

        A track that enters or leaves through a side has only the part inside the active area.
        """
        top = np.arange(self.n_layers) * self.layer_thickness
        enters = np.broadcast_to(top, (len(tracks), self.n_layers))
        leaves = enters + self.layer_thickness
        for position, slope in ((tracks.x, tracks.slope_x), (tracks.y, tracks.slope_y)):
            first, last = _depths_between_sides(position, slope, self.width / 2)
            enters = np.maximum(enters, first[:, None])
            leaves = np.minimum(leaves, last[:, None])
        length = np.maximum(leaves - enters, 0) / np.cos(tracks.inclination)[:, None]
        return np.where(np.isnan(tracks.x + tracks.y + tracks.inclination)[:, None], np.nan, length)


AMS = Calorimeter(
    name="AMS-02 ECAL",
    views=tuple("yyxx" * 4 + "yy"),  # type: ignore[arg-type]  # superlayers 1, 3, ... have fibres along x
    n_cells=72,
    cell_pitch=9.0,
    layer_thickness=9.25,
    radiation_lengths=17.0,
    interaction_lengths=0.63,
)
"""The AMS-02 calorimeter: 9 superlayers of 18.5 mm, 648 x 648 mm2, published depth 17 X0.

Superlayers 1, 3, 5, 7, 9 have their fibres along x and measure y, as in the published code that reads the AMS ntuples;
slides count ten layers for x instead, which is ``AMS.swap_views()``. Sources: Adloff et al., NIM A 714 (2013) 147;
AMS Collaboration, Physics Reports 894 (2021) 1.
"""
