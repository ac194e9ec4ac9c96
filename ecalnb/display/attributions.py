"""What made a network's mind up, beside the shower: attributions of cells in the two views."""

from __future__ import annotations

from typing import TYPE_CHECKING, get_args

import matplotlib.pyplot as plt
import numpy as np
import numpy.typing as npt
from matplotlib.colors import Normalize, SymLogNorm

from .._style import source_label, source_text, style
from ..geometry import AMS, Calorimeter, Tracks, View
from .views import ViewArtists, describe, draw_cells, energy_scale, event_track, view

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from ..showers import Showers

__all__ = ["attribution_cmap", "attribution_scale", "attribution_view", "draw_attribution"]

_SIGNED, _UNSIGNED = "RdBu_r", "Purples"
_LINEAR = 0.02  # part of the largest value up to which the colours of signed values are linear


def attribution_scale(values: npt.ArrayLike) -> Normalize:
    """Colour scale of attributions: symmetric about 0 where they have signs, from 0 to the largest where not."""
    values = np.asarray(values, dtype=float)
    top = float(np.abs(values).max(initial=0.0)) or 1.0
    return SymLogNorm(_LINEAR * top, vmin=-top, vmax=top) if (values < 0).any() else Normalize(0, top)


def attribution_cmap(norm: Normalize) -> str:
    """Colours that go with a scale of :func:`attribution_scale`."""
    return _SIGNED if (norm.vmin or 0) < 0 else _UNSIGNED


def attribution_view(
    ax: Axes,
    values: npt.ArrayLike,
    name: View,
    geometry: Calorimeter = AMS,
    track: Tracks | None = None,
    *,
    half_width: float | None = None,
    norm: Normalize | None = None,
) -> ViewArtists:
    """Draw the attributions of one view's cells.

    Parameters
    ----------
    ax : Axes
        Where to draw, as :func:`ecalnb.display.view` does.
    values : array_like, shape (n_layers, n_cells)
        An attribution of each cell; of any sign.
    name : {"x", "y"}
        The view.
    geometry : Calorimeter
        Where the cells lie.
    track : Tracks, optional
        One track, drawn as a line.
    half_width : float, optional
        Show only this many mm on both sides of the track, or of the middle of the values.
    norm : Normalize, optional
        Colour scale, to share between views; that of :func:`attribution_scale` unless given.

    Returns
    -------
    ViewArtists
        The cells with a value other than 0, and the line of the track.

    Raises
    ------
    ValueError
        If the values have not the shape of the calorimeter.
    """
    values = np.asarray(values, dtype=float)
    norm = attribution_scale(values) if norm is None else norm
    cmap = attribution_cmap(norm)
    return draw_cells(ax, values, name, geometry, track, half_width=half_width, norm=norm, cmap=cmap)


def draw_attribution(
    showers: Showers,
    event: int,
    values: npt.ArrayLike,
    *,
    what: str = "part in the logit",
    half_width: float | None = 150.0,
    title: str | None = None,
) -> Figure:
    """Draw both views of an event, and beside them what each cell has done to a network's answer.

    Parameters
    ----------
    showers : Showers
        The events; a track is drawn where their table has one.
    event : int
        Position of the event in them.
    values : array_like, shape (n_layers, n_cells)
        Attribution of each cell of this event, for example
        ``integrated_gradients(classifier, showers).values[event]``.
    what : str
        What the values are, for the colour bar.
    half_width : float, optional
        Show this many mm on both sides of the shower; None for the whole width.
    title : str, optional
        What the event is; without it what its table says.

    Returns
    -------
    Figure
        Four axes: energies on the left, attributions on the right, XZ above YZ, a colour bar each.

    Raises
    ------
    IndexError
        If there is no such event.
    ValueError
        If the values have not the shape of the calorimeter.
    """
    if not 0 <= event < len(showers):
        raise IndexError(f"event {event} does not exist; there are {len(showers)} events, numbered from 0")
    image, geometry = showers.images[event], showers.geometry
    values = np.asarray(values, dtype=float)
    track = event_track(showers, event)
    norms = energy_scale(image), attribution_scale(values)
    with plt.style.context(style()):
        fig, axes = plt.subplots(2, 2, figsize=(11.0, 5.6), layout="compressed", sharex="row", sharey=True)
        for row, name in zip(axes, get_args(View), strict=True):
            energies = view(row[0], image, name, geometry, track, half_width=half_width, norm=norms[0])
            limits = row[0].get_xlim()
            parts = attribution_view(row[1], values, name, geometry, track, norm=norms[1])
            row[1].set_xlim(limits)
        fig.colorbar(energies.cells, ax=axes[:, 0], extend="min", label="cell energy [MeV]", pad=0.02, fraction=0.05)
        fig.colorbar(parts.cells, ax=axes[:, 1], label=what, pad=0.02, fraction=0.05)
        kind = showers.metadata.get("kind")
        source_label(axes[0, 0], source_text(kind, showers.metadata.get("simulation", "")) if kind else "")
        axes[0, 1].set_title(describe(showers, event) if title is None else title, loc="right")
        if energies.track is not None:
            axes[1, 0].legend(handles=[energies.track], loc="upper left", bbox_to_anchor=(0, -0.14), borderaxespad=0)
    return fig
