"""Figures of spectra, scores, training and rejection.

One function a figure: it draws into an ``ax``, labels its axes with units and returns what it has drawn. Draw inside
``with plots.style():`` and write with :func:`save`. Pictures of showers are in :mod:`ecalnb.display`.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import hist
import numpy as np
import numpy.typing as npt
import pandas as pd
from hist.intervals import poisson_interval
from matplotlib.colors import LogNorm

from ._style import COLORS, ENERGY_CMAP, color_of, save, source_label, source_text, style

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.collections import QuadMesh

__all__ = [
    "COLORS",
    "ENERGY_CMAP",
    "color_of",
    "energy_momentum",
    "log_edges",
    "loss_curves",
    "rejection_curve",
    "save",
    "score_distribution",
    "source_label",
    "source_text",
    "spectrum",
    "style",
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


def _fill(values: npt.ArrayLike, edges: npt.ArrayLike, weights: npt.ArrayLike | None, what: str) -> hist.Hist:
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
    histogram = _fill(energy, edges, weights, label or "spectrum")
    artists = _draw(ax, histogram, label, color, points)
    ax.set_xscale("log")
    ax.set_yscale("log")
    ax.set_xlabel(xlabel)
    ax.set_ylabel("events per bin" if weights is None else "weighted events per bin")
    return artists


def _draw(ax: Axes, histogram: hist.Hist, label: str | None, color: str | None, points: bool) -> list[Artist]:
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
    momentum, energy = np.asarray(momentum, dtype=float), np.asarray(energy, dtype=float)
    counts = hist.Hist(hist.axis.Variable(momentum_edges), hist.axis.Variable(energy_edges)).fill(momentum, energy)
    if outside := len(momentum) - int(counts.values().sum()):
        log.warning("energy against momentum: %d of %d events lie outside the axes", outside, len(momentum))
    shown = np.ma.masked_equal(counts.values().T, 0)
    top = vmax or max(float(counts.values().max()), 2.0)
    mesh = ax.pcolormesh(*(axis.edges for axis in counts.axes), shown, norm=LogNorm(1, top), cmap=ENERGY_CMAP)
    ax.axline((1, 1), (10, 10), color="0.3", ls="--", lw=1, label="en3d = $p$")
    ax.set(xscale="log", yscale="log")
    ax.set_xlim(*counts.axes[0].edges[[0, -1]])
    ax.set_ylim(*counts.axes[1].edges[[0, -1]])
    ax.set_xlabel("generated momentum $p$ [GeV]")
    ax.set_ylabel("reconstructed energy en3d [GeV]")
    return mesh


def score_distribution(
    ax: Axes,
    scores: pd.DataFrame,
    model: str,
    *,
    train: str | Sequence[str] = "train",
    test: str | Sequence[str] = "test",
    bins: int = 40,
) -> list[Artist]:
    """Draw the scores of each species on the training sample (lines) and the test sample (points).

    Both are normalised to the area 1: where the points leave the line, the model has learned its training events by
    heart. Scores are logits, not probabilities, which pile up at 0 and 1.

    Parameters
    ----------
    ax : Axes
        Where to draw.
    scores : DataFrame
        A scores table with the columns ``label``, ``split`` and ``model``.
    model : str
        The column with the scores.
    train, test : str or sequence of str
        Splits to take for each.
    bins : int
        Number of bins over the range of all scores.

    Returns
    -------
    list of Artist

    Raises
    ------
    KeyError
        If a column is missing.
    ValueError
        If no event of ``test`` is there.
    """
    if missing := [name for name in ("label", "split", model) if name not in scores]:
        raise KeyError(f"the scores table has no column {', '.join(missing)}; it has {', '.join(scores.columns)}")
    tables = [
        scores[scores["split"].isin([names] if isinstance(names, str) else list(names))] for names in (train, test)
    ]
    if tables[1].empty:
        raise ValueError(f"no event of split {test!r} in the scores table; it has {sorted(set(scores['split']))}")
    values = np.concatenate([table[model].to_numpy(dtype=float) for table in tables])
    edges = np.linspace(values.min(), np.nextafter(values.max(), np.inf), bins + 1)
    artists: list[Artist] = []
    for label in sorted(set(tables[1]["label"])):
        for table, name, points in ((tables[0], "training", False), (tables[1], "test", True)):
            chosen = table.loc[table["label"] == label, model].to_numpy(dtype=float)
            if len(chosen):
                weights = np.full(len(chosen), 1 / (len(chosen) * (edges[1] - edges[0])))
                histogram = _fill(chosen, edges, weights, f"{label} {name}")
                artists += _draw(ax, histogram, f"{label}, {name} ({len(chosen):,})", color_of(label), points)
    ax.set_yscale("log")
    ax.set_ylim(top=8 * ax.dataLim.ymax)  # room for the legend
    ax.set_xlabel(f"score of {model} (logit)")
    ax.set_ylabel("events, normalised")
    return artists


def loss_curves(ax: Axes, history: pd.DataFrame, *, label: str = "", color: str | None = None) -> list[Artist]:
    """Draw the loss on training and validation events after each epoch; the best epoch has a marker.

    Parameters
    ----------
    ax : Axes
        Where to draw; several models may share it.
    history : DataFrame
        One row an epoch, with the columns ``epoch``, ``train_loss`` and ``val_loss``: that of a
        :class:`ecalnb.training.TrainingRun`.
    label : str
        Name of the model in the legend.
    color : str, optional
        Colour of both lines.

    Returns
    -------
    list of Artist

    Raises
    ------
    KeyError
        If a column is missing.
    """
    names = ("epoch", "train_loss", "val_loss")
    if missing := [name for name in names if name not in history]:
        raise KeyError(f"the training history has no column {', '.join(missing)}; it has {', '.join(history.columns)}")
    epoch, train, validation = (history[name].to_numpy(dtype=float) for name in names)
    prefix = f"{label}, " if label else ""
    (validated,) = ax.plot(epoch, validation, color=color, label=f"{prefix}validation")
    drawn = validated.get_color()
    (trained,) = ax.plot(epoch, train, color=drawn, ls=":", label=f"{prefix}training")
    best = int(np.nanargmin(validation))
    (marker,) = ax.plot(epoch[best], validation[best], "*", ms=11, color=drawn)
    ax.set_yscale("log")
    ax.set_xlabel("epoch")
    ax.set_ylabel("weighted cross-entropy")
    return [validated, trained, marker]


def rejection_curve(
    ax: Axes, curve: pd.DataFrame, *, label: str | None = None, color: str | None = None, linestyle: str = "-"
) -> list[Artist]:
    """Draw proton rejection against electron efficiency with its interval.

    Where no proton is left the rejection is not measured: there the lower limit is drawn, dashed and with arrows.

    Parameters
    ----------
    ax : Axes
        Where to draw; several models may share it.
    curve : DataFrame
        As :func:`ecalnb.metrics.rejection_curve` returns it: ``efficiency``, ``rejection``, ``low``, ``high`` and
        ``is_limit``.
    label, color, linestyle : str, optional
        Entry in the legend, colour, and line of the measured part.

    Returns
    -------
    list of Artist
    """
    efficiency, rejection, low, high = (
        curve[name].to_numpy(dtype=float) for name in ("efficiency", "rejection", "low", "high")
    )
    limit = curve["is_limit"].to_numpy(dtype=bool)
    percent = 100 * efficiency
    (line,) = ax.plot(percent, np.where(limit, np.nan, rejection), ls=linestyle, color=color, label=label)
    drawn = line.get_color()
    artists: list[Artist] = [line]
    artists.append(ax.fill_between(percent, low, high, where=~limit, color=drawn, alpha=0.2, lw=0))
    if limit.any():
        artists += ax.plot(percent, np.where(limit, low, np.nan), ls="--", lw=1, color=drawn)
        # Models often share a limit, all protons being gone; arrows of later curves stand beside those of earlier ones.
        step = max(1, int(limit.sum()) // 8)
        arrows = np.flatnonzero(limit)[(len(ax.lines) // 2) % step :: step]
        limits: Any = ax.errorbar(
            percent[arrows], low[arrows], yerr=0.35 * low[arrows], lolims=True, fmt="none", color=drawn, lw=1
        )
        artists += limits.get_children()
    ax.set_yscale("log")
    ax.set_xlim(0, 100)
    ax.set_xlabel("electron efficiency [%]")
    ax.set_ylabel("proton rejection")
    return artists
