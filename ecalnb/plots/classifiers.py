"""Figures of classifiers: learning curves, scores, and proton rejection."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from matplotlib.ticker import MaxNLocator, NullLocator

from .._style import COLORS, color_of
from .spectra import draw_histogram, fill_histogram, plain_numbers

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes

__all__ = ["loss_curves", "rejection_curve", "rejection_in_bins", "score_distribution"]


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
    if min(np.nanmin(train), np.nanmin(validation)) > 0:  # a likelihood need not be
        ax.set_yscale("log")
        plain_numbers(ax.yaxis)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.set_xlabel("epoch")
    ax.set_ylabel("weighted cross-entropy")
    return [validated, trained, marker]


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
                histogram = fill_histogram(chosen, edges, weights, f"{label} {name}")
                artists += draw_histogram(ax, histogram, f"{label}, {name} ({len(chosen):,})", color_of(label), points)
    ax.set_yscale("log")
    ax.set_ylim(top=8 * ax.dataLim.ymax)  # room for the legend
    ax.set_xlabel(f"score of {model} (logit)")
    ax.set_ylabel("events, normalised")
    return artists


def _rejection_axis(ax: Axes, table: pd.DataFrame) -> None:
    """Make the vertical axis one of rejections, from 1 to ten times the highest one or limit of all models drawn.

    Intervals of a rejection that rests on one proton go further up, to where nothing is known.
    """
    values = np.where(table["is_limit"], table["low_total"], table["rejection"]).astype(float)
    top = 10 * np.nanmax(values, initial=1.0)
    ax.set_ylim(1, max(top, ax.get_ylim()[1]) if ax.get_yscale() == "log" else top)
    ax.set_yscale("log")
    plain_numbers(ax.yaxis)
    ax.set_ylabel("proton rejection")


def rejection_curve(
    ax: Axes,
    curve: pd.DataFrame,
    *,
    label: str | None = None,
    color: str | None = None,
    linestyle: str = "-",
    bars_at: Sequence[float] = (),
    shift: int = 0,
) -> list[Artist]:
    """Draw proton rejection against electron efficiency with its interval.

    Where no proton is left the rejection is not measured: there the lower limit is drawn, dashed and with arrows.

    Parameters
    ----------
    ax : Axes
        Where to draw; several models may share it.
    curve : DataFrame
        As :func:`ecalnb.metrics.rejection_curve` returns it. The band is from ``low_total`` to ``high_total``, with the
        uncertainty of the threshold.
    label, color, linestyle : str, optional
        Entry in the legend, colour, and line of the measured part.
    bars_at : sequence of float, optional
        Efficiencies at which the interval is drawn as a bar, instead of a band: for more than a few models.
    shift : int
        Number of the model: its bars stand a little beside those of the others.

    Returns
    -------
    list of Artist
    """
    efficiency, rejection, low, high = (
        curve[name].to_numpy(dtype=float) for name in ("efficiency", "rejection", "low_total", "high_total")
    )
    limit = curve["is_limit"].to_numpy(dtype=bool)
    percent = 100 * efficiency
    (line,) = ax.plot(percent, np.where(limit, np.nan, rejection), ls=linestyle, color=color, label=label)
    drawn = line.get_color()
    artists: list[Artist] = [line]
    # An interval without an upper end goes off the top of the axes, which end at ten times the highest rejection.
    top = np.where(np.isfinite(high), high, 1000 * np.maximum(rejection, low))
    if len(bars_at):
        at = np.flatnonzero(~limit & np.isclose(efficiency[:, None], bars_at).any(axis=1))
        yerr = [rejection[at] - low[at], top[at] - rejection[at]]
        bars: Any = ax.errorbar(percent[at] + 0.5 * shift, rejection[at], yerr, fmt="o", ms=3, lw=1.2, color=drawn)
        artists += bars.get_children()
    else:
        artists.append(ax.fill_between(percent, low, top, where=~limit, color=drawn, alpha=0.2, lw=0))
    if limit.any():
        artists += ax.plot(percent, np.where(limit, low, np.nan), ls="--", lw=1, color=drawn)
        # Models often share a limit, all protons being gone; arrows of later curves stand beside those of earlier ones.
        step = max(1, round(6 / np.median(np.diff(percent)))) if len(percent) > 1 else 1
        arrows = np.flatnonzero(limit)[(len(ax.lines) % 3) * step // 3 :: step]
        limits: Any = ax.errorbar(
            percent[arrows], low[arrows], yerr=0.35 * low[arrows], lolims=True, fmt="none", color=drawn, lw=1
        )
        artists += limits.get_children()
    _rejection_axis(ax, curve)
    ax.set_xlim(0, 100)
    ax.set_xlabel("electron efficiency [%]")
    return artists


def rejection_in_bins(
    ax: Axes, table: pd.DataFrame, *, label: str | None = None, color: str | None = None, shift: int = 0
) -> list[Artist]:
    """Draw proton rejection in bins of energy: points with intervals, arrows for lower limits.

    Bins with too few events, which have no rejection, are left out.

    Parameters
    ----------
    ax : Axes
        Where to draw; several models may share it.
    table : DataFrame
        As :func:`ecalnb.metrics.rejection_in_bins` returns it. Intervals include the uncertainty of the threshold.
    label, color : str, optional
        Entry in the legend, and colour.
    shift : int
        Number of the model: its points stand a little beside those of the others.

    Returns
    -------
    list of Artist
    """
    names = ("energy_low", "energy_high", "rejection", "low_total", "high_total")
    limit = table["is_limit"].to_numpy(dtype=bool)
    color = color or COLORS[shift % len(COLORS)]
    artists: list[Artist] = []
    for is_limit in (False, True):
        part = table[(limit == is_limit) & table["rejection"].notna()]
        if part.empty:
            continue
        start, stop, rejection, low, high = (part[name].to_numpy(dtype=float) for name in names)
        middle = np.sqrt(start * stop) * (stop / start) ** (0.08 * shift)
        y = low if is_limit else rejection
        # An interval without an upper end goes off the top of the axes.
        top = np.where(np.isfinite(high), high, 1000 * rejection)
        yerr = [0 * low, 0.35 * low] if is_limit else [rejection - low, top - rejection]
        xerr, mark = [middle - start, stop - middle], "none" if is_limit else "o"
        bars: Any = ax.errorbar(
            middle,
            y,
            yerr,
            xerr,
            fmt=mark,
            lolims=is_limit,
            color=color,
            ms=5,
            lw=1.2,
            label=label,
            alpha=0.45 if is_limit else 1.0,  # many bins have a limit only: points come first
        )
        artists += bars.get_children()
        label = None  # one entry in the legend, also where all bins are limits
    ax.set_xscale("log")
    _rejection_axis(ax, table)
    plain_numbers(ax.xaxis)
    ax.set_xlabel("reconstructed energy en3d [GeV]")
    return artists
