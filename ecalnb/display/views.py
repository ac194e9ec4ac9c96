"""Static event displays: the two views of a shower, cell by cell, with the track.

A layer measures one coordinate, so that a shower is seen as two projections: the layers of the XZ view show where it is
along x against depth, those of the YZ view where it is along y. Drawn as the experiment draws them: the layers of the
other view stay grey.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple, get_args

import matplotlib.pyplot as plt
import numpy as np
import numpy.typing as npt
from matplotlib.collections import PolyCollection
from matplotlib.colors import LogNorm, Normalize
from matplotlib.ticker import MultipleLocator

from .._style import ENERGY_CMAP, source_label, source_text, style
from ..geometry import AMS, Calorimeter, Tracks, View

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

    from ..showers import Showers

__all__ = ["ViewArtists", "describe", "draw_cells", "draw_event", "energy_scale", "event_track", "view"]

_OTHER_VIEW = "0.90"  # grey of the layers that measure the other coordinate
_FLOOR = 0.1  # MeV; the colour scale starts no lower: a crossing particle leaves about 10 MeV in a layer


class ViewArtists(NamedTuple):
    """What :func:`view` has drawn."""

    cells: PolyCollection
    track: Line2D | None


def energy_scale(image: npt.NDArray[np.floating]) -> LogNorm:
    """Logarithmic colour scale in MeV that all cells of an event share."""
    top = 1000 * float(np.nanmax(image, initial=0.0))
    return LogNorm(_FLOOR, max(top, 10 * _FLOOR), clip=False)


def view(
    ax: Axes,
    image: npt.ArrayLike,
    view: View,
    geometry: Calorimeter = AMS,
    track: Tracks | None = None,
    *,
    half_width: float | None = None,
    norm: LogNorm | None = None,
) -> ViewArtists:
    """Draw one view of one shower: cell energies against position and depth.

    Parameters
    ----------
    ax : Axes
        Where to draw; depth grows downwards, millimetres have the same length along both axes, and a second scale
        on the right counts radiation lengths along the vertical.
    image : array_like, shape (n_layers, n_cells)
        Cell energies, GeV; drawn in MeV on a logarithmic colour scale that starts at 0.1 MeV.
    view : {"x", "y"}
        The coordinate to show: ``"x"`` draws the layers that measure x.
    geometry : Calorimeter
        Which layers those are, and where their cells lie.
    track : Tracks, optional
        One track, drawn as a line through the whole depth.
    half_width : float, optional
        Show only this many mm on both sides of the shower, shifted where that would leave the calorimeter; the whole
        width unless given.
    norm : LogNorm, optional
        Colour scale, MeV, to share between views.

    Returns
    -------
    ViewArtists
        The cells with energy (for a colour bar) and the line of the track.

    Raises
    ------
    ValueError
        If the image has not the shape of the calorimeter, ``track`` is not one, or ``half_width`` not positive.
    """
    image = np.asarray(image, dtype=float)
    energies = 1000 * np.where(image > 0, image, 0)
    norm = norm or energy_scale(image)
    return draw_cells(ax, energies, view, geometry, track, half_width=half_width, norm=norm, cmap=ENERGY_CMAP)


def draw_cells(
    ax: Axes,
    values: npt.NDArray[np.float64],
    view: View,
    geometry: Calorimeter,
    track: Tracks | None,
    *,
    half_width: float | None,
    norm: Normalize,
    cmap: str,
) -> ViewArtists:
    """Draw one view of anything that each cell has, as :func:`view` does its energy; cells of value 0 are empty.

    Parameters
    ----------
    ax, view, geometry, track, half_width
        See :func:`view`.
    values : array, shape (n_layers, n_cells)
        What to draw.
    norm, cmap
        Its colour scale and colours.
    """
    if values.shape != geometry.shape:
        raise ValueError(f"image has shape {values.shape}; {geometry.name} needs {geometry.shape}")
    if track is not None and len(track) != 1:
        raise ValueError(f"{len(track)} tracks given; a view shows one event, so give one track")
    if half_width is not None and not half_width > 0:
        raise ValueError(f"half_width is {half_width!r}; expected a positive number of mm")
    layers = geometry.layers(view)
    depths = np.arange(geometry.n_layers + 1) * geometry.layer_thickness
    for layer in np.setdiff1d(np.arange(geometry.n_layers), layers):
        ax.axhspan(depths[layer], depths[layer + 1], color=_OTHER_VIEW, lw=0, zorder=0)
    cells = _hit_cells(values, layers, geometry)
    cells.set(cmap=cmap, norm=norm)
    ax.add_collection(cells)
    line = None
    if track is not None:
        ends = np.array([0, geometry.thickness])
        x, y = track.at(ends)
        (line,) = ax.plot((x if view == "x" else y)[0], ends, color="#D55E00", lw=1.2, ls="--", label="track")
    side = geometry.width / 2
    if half_width is None:
        ax.set_xlim(-side, side)
    else:
        half_width = min(half_width, side)
        middle = np.clip(_middle(values, view, geometry, track), half_width - side, side - half_width)
        ax.set_xlim(middle - half_width, middle + half_width)
    ax.set_ylim(geometry.thickness, 0)
    ax.set_aspect("equal")
    ax.set_xlabel(f"{view} [mm]")
    ax.set_ylabel("depth [mm]")
    _radiation_length_axis(ax, geometry)
    return ViewArtists(cells, line)


def _hit_cells(values: npt.NDArray[np.float64], layers: npt.NDArray[np.intp], geometry: Calorimeter) -> PolyCollection:
    """Draw cells that are not 0 as rectangles (mm), coloured by their value."""
    row, cell = np.nonzero(values[layers])
    left, top = geometry.cell_edges()[cell], layers[row] * geometry.layer_thickness
    right, bottom = left + geometry.cell_pitch, top + geometry.layer_thickness
    corners = np.stack([left, top, right, top, right, bottom, left, bottom], axis=1).reshape(-1, 4, 2)
    # An edge in the colour of the face hides the hairlines that viewers leave between neighbours.
    return PolyCollection(list(corners), array=values[layers[row], cell], edgecolors="face", linewidths=0.2)


def _middle(image: npt.NDArray[np.float64], view: View, geometry: Calorimeter, track: Tracks | None) -> float:
    """Coordinate in the middle of a shower: the track at half depth, without one the centre of gravity."""
    if track is not None:
        x, y = track.at(geometry.thickness / 2)
        return float((x if view == "x" else y)[0, 0])
    energy = image[geometry.layers(view)].sum(axis=0)
    return float(energy @ geometry.cell_centers() / energy.sum()) if energy.sum() > 0 else 0.0


def _times(factor: float) -> Callable[[Any], Any]:
    """Multiplication by a factor, as a scale of an axis needs it."""
    return lambda value: value * factor


def _radiation_length_axis(ax: Axes, geometry: Calorimeter) -> None:
    """Second depth scale on the right, in radiation lengths."""
    scale = geometry.radiation_lengths / geometry.thickness
    ax.tick_params(axis="y", which="both", right=False)
    right = ax.secondary_yaxis("right", functions=(_times(scale), _times(1 / scale)))
    right.yaxis.set_major_locator(MultipleLocator(5))
    right.yaxis.set_minor_locator(MultipleLocator(1))
    right.set_ylabel("depth [$X_0$]")


def draw_event(
    showers: Showers,
    event: int,
    *,
    half_width: float | None = None,
    source: str | None = None,
    title: str | None = None,
) -> Figure:
    """Draw both views of an event of ``showers`` on one colour scale.

    Parameters
    ----------
    showers : Showers
        The events; a track is drawn where their table has one.
    event : int
        Position of the event in them.
    half_width : float, optional
        Zoom to this many mm on both sides of the shower.
    source : str, optional
        Where the events come from, for example ``"Geant4 simulation"``; what ``showers.metadata`` says
        unless given.
    title : str, optional
        What the event is; without it the species, energies and inclination that the table has.

    Returns
    -------
    Figure
        Two axes, XZ above (or, zoomed, on the left of) YZ, and a colour bar.

    Raises
    ------
    IndexError
        If there is no such event.
    """
    if not 0 <= event < len(showers):
        raise IndexError(f"event {event} does not exist; there are {len(showers)} events, numbered from 0")
    image, geometry = showers.images[event], showers.geometry
    track = event_track(showers, event)
    norm = energy_scale(image)
    with plt.style.context(style()):
        if half_width is None:
            fig, axes = plt.subplots(2, 1, figsize=(8.4, 4.7), layout="compressed")
        else:
            fig, axes = plt.subplots(1, 2, figsize=(10.4, 3.7), layout="compressed")
        for ax, name in zip(axes, get_args(View), strict=True):
            artists = view(ax, image, name, geometry, track, half_width=half_width, norm=norm)
        # Cells below the start of the scale have its first colour; the pointed end of the bar says so.
        fig.colorbar(artists.cells, ax=axes, extend="min", label="cell energy [MeV]", pad=0.02, fraction=0.05)
        if source is None and "kind" in showers.metadata:
            source = source_text(showers.metadata["kind"], showers.metadata.get("simulation", ""))
        source_label(axes[0], source or "")
        description = title if title is not None else describe(showers, event)
        axes[0 if half_width is None else 1].set_title(description, loc="right")
        if artists.track is not None:
            axes[-1].legend(handles=[artists.track], loc="upper left", bbox_to_anchor=(0, -0.12), borderaxespad=0)
    return fig


def event_track(showers: Showers, event: int) -> Tracks | None:
    """Track of an event, if it has one."""
    track = showers[[event]].tracks if "track_x" in showers.table else None
    if track is not None and np.isnan(track.x + track.y + track.inclination + track.azimuth).any():
        return None
    return track


def describe(showers: Showers, event: int) -> str:
    """Species, energies and inclination of an event, as far as its table has them."""
    row = showers.table.iloc[event]
    parts = []
    if isinstance(row.get("label"), str):
        parts.append(row["label"].replace("$", r"\$"))  # which would begin a formula
    for column, symbol, unit, scale in (
        ("momentum", "p", "GeV", 1.0),
        ("en3d", "en3d", "GeV", 1.0),
        ("track_inclination", r"\theta", r"\degree", 180 / np.pi),
    ):
        if column in row and np.isfinite(row[column]):
            name = rf"$\mathit{{{symbol}}}$" if symbol != "en3d" else symbol
            value = row[column] * scale
            text = f"{value:.3g}" if abs(value) < 1000 else f"{value:.0f}"
            parts.append(f"{name} = {text}" + (r"$\degree$" if unit == r"\degree" else f" {unit}"))
    return ", ".join(parts)
