"""Figures of energies: spectra, and energy against momentum; and the drawing of any histogram."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import hist
import numpy as np
import numpy.typing as npt
from hist.intervals import poisson_interval
from matplotlib.colors import LogNorm
from matplotlib.ticker import FuncFormatter

from .._style import COLORS, ENERGY_CMAP, color_of

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.collections import QuadMesh

__all__ = [
    "counts_map",
    "draw_histogram",
    "energy_momentum",
    "fill_histogram",
    "log_edges",
    "plain_numbers",
    "spectrum",
]

log = logging.getLogger(__name__)


def log_edges(low: float, high: float, per_decade: int = 10) -> npt.NDArray[np.float64]:
    """Bin edges equally spaced in the logarithm, that cover ``low`` to ``high``; every tenth power is an edge.

    Parameters
    ----------
    low, high : float
        Ends of the range to cover, above 0.
    per_decade : int
        Bins in a factor of ten.

    Raises
    ------
    ValueError
        If the range is empty or reaches 0.
    """
    if not 0 < low < high:
        raise ValueError(f"logarithmic bins from {low!r} to {high!r} do not exist; expected 0 < low < high")
    # Not a whole bin more for a number that is an edge up to rounding.
    first = np.floor(np.log10(low) * per_decade + 1e-9)
    last = np.ceil(np.log10(high) * per_decade - 1e-9)
    edges: npt.NDArray[np.float64] = 10 ** (np.arange(first, last + 1) / per_decade)
    return edges


def fill_histogram(values: npt.ArrayLike, edges: npt.ArrayLike, weights: npt.ArrayLike | None, what: str) -> hist.Hist:
    """Fill a histogram with its variances; events outside the edges are counted in a logged warning."""
    values, edges = np.asarray(values, dtype=float), np.asarray(edges, dtype=float)
    histogram = hist.Hist(hist.axis.Variable(edges), storage=hist.storage.Weight())
    histogram.fill(values, weight=None if weights is None else np.asarray(weights, dtype=float))
    inside = (values >= edges[0]) & (values < edges[-1])
    if outside := int(np.count_nonzero(~inside)):
        log.warning("%s: %d of %d events lie outside %g to %g", what, outside, len(values), edges[0], edges[-1])
    return histogram


def _errors(histogram: hist.Hist) -> npt.NDArray[np.float64]:
    """Asymmetric errors, shape (2, bins): central Poisson intervals, scaled to the mean weight of a bin."""
    content = histogram.values()
    errors: npt.NDArray[np.float64] = abs(poisson_interval(content, histogram.variances()) - content)
    return np.nan_to_num(errors)


def draw_histogram(ax: Axes, histogram: hist.Hist, label: str | None, color: str | None, points: bool) -> list[Artist]:
    """Draw a histogram with its errors, as a line or as points; empty bins have no point."""
    content, edges, errors = histogram.values(), histogram.axes[0].edges, _errors(histogram)
    # A logarithmic axis has its middle elsewhere, but a point must lie inside its bin on both.
    middle = (edges[1:] + edges[:-1]) / 2 if edges[0] <= 0 else np.sqrt(edges[1:] * edges[:-1])
    color = color or (color_of(label) if label else COLORS[6])
    some = content > 0
    artists: list[Artist] = []
    if not points:
        artists.append(ax.stairs(content, edges, color=color, label=label, lw=1.5))
    bars = ax.errorbar(
        middle[some],
        content[some],
        yerr=errors[:, some],
        fmt="o" if points else "none",
        ms=4,
        lw=1,
        color=color,
        label=label if points else None,
    )
    artists.extend(bars.get_children())
    return artists


def plain_numbers(axis: Axis) -> None:
    """Write 0.1, 10, 100 at a logarithmic energy axis, and numbers between them where it is short."""

    def between(value: float, _: int) -> str:
        low, high = axis.get_view_interval()
        return f"{value:g}" if high < 20 * low and f"{value:e}"[0] in "235" else ""

    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_formatter(FuncFormatter(between))


def spectrum(
    ax: Axes,
    energy: npt.ArrayLike,
    edges: npt.ArrayLike,
    *,
    weights: npt.ArrayLike | None = None,
    label: str | None = None,
    color: str | None = None,
    xlabel: str = "reconstructed energy en3d [GeV]",
    points: bool = False,
) -> list[Artist]:
    """Draw an energy spectrum on logarithmic axes: events in each bin.

    Parameters
    ----------
    ax : Axes
        Where to draw; several spectra may share it.
    energy : array_like, shape (n,)
        Energies, GeV.
    edges : array_like
        Bin edges, GeV, for example from :func:`log_edges`. Events outside are counted in a logged warning.
    weights : array_like, shape (n,), optional
        Weight of each event.
    label, color : str, optional
        Entry in the legend; a species that is known by its label has its own colour.
    xlabel : str
        What the energy is.
    points : bool
        Points with errors instead of a line with errors.

    Returns
    -------
    list of Artist
    """
    histogram = fill_histogram(energy, edges, weights, label or "spectrum")
    artists = draw_histogram(ax, histogram, label, color, points)
    ax.set_xscale("log")
    ax.set_yscale("log")
    ax.set_xlabel(xlabel)
    plain_numbers(ax.xaxis)
    ax.set_ylabel("events per bin" if weights is None else "weighted events per bin")
    return artists


def counts_map(
    ax: Axes,
    x: npt.ArrayLike,
    y: npt.ArrayLike,
    x_edges: npt.ArrayLike,
    y_edges: npt.ArrayLike,
    *,
    vmax: float | None = None,
) -> QuadMesh:
    """Draw the number of events in bins of two quantities on a logarithmic colour scale.

    Parameters
    ----------
    ax : Axes
        Where to draw.
    x, y : array_like, shape (n,)
        The quantities.
    x_edges, y_edges : array_like
        Bin edges. Events outside are counted in a logged warning.
    vmax : float, optional
        Upper end of the colour scale, to share it between axes.

    Returns
    -------
    QuadMesh
        For a colour bar.
    """
    x, y = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
    counts = hist.Hist(hist.axis.Variable(x_edges), hist.axis.Variable(y_edges)).fill(x, y)
    if outside := len(x) - int(counts.values().sum()):
        log.warning("map of two quantities: %d of %d events lie outside the axes", outside, len(x))
    shown = np.ma.masked_equal(counts.values().T, 0)
    top = vmax or max(float(counts.values().max()), 2.0)
    mesh = ax.pcolormesh(
        *(axis.edges for axis in counts.axes), shown, norm=LogNorm(1, top), cmap=ENERGY_CMAP, rasterized=True
    )
    ax.set_xlim(*counts.axes[0].edges[[0, -1]])
    ax.set_ylim(*counts.axes[1].edges[[0, -1]])
    return mesh


def energy_momentum(
    ax: Axes,
    momentum: npt.ArrayLike,
    energy: npt.ArrayLike,
    *,
    momentum_edges: npt.ArrayLike,
    energy_edges: npt.ArrayLike,
    vmax: float | None = None,
) -> QuadMesh:
    """Draw reconstructed energy against generated momentum: number of events on a logarithmic colour scale.

    The dashed line is where the calorimeter measures the whole momentum.

    Parameters
    ----------
    ax : Axes
        Where to draw.
    momentum, energy : array_like, shape (n,)
        Generated momentum and ``en3d``, GeV.
    momentum_edges, energy_edges : array_like
        Bin edges, GeV. Events outside are counted in a logged warning.
    vmax : float, optional
        Upper end of the colour scale, to share it between axes.

    Returns
    -------
    QuadMesh
        For a colour bar.
    """
    mesh = counts_map(ax, momentum, energy, momentum_edges, energy_edges, vmax=vmax)
    ax.axline((1, 1), (10, 10), color="0.3", ls="--", lw=1, label="en3d = $p$")
    ax.set(xscale="log", yscale="log")
    plain_numbers(ax.xaxis)
    plain_numbers(ax.yaxis)
    ax.set_xlabel("generated momentum $p$ [GeV]")
    ax.set_ylabel("reconstructed energy en3d [GeV]")
    return mesh
