"""Figures of scores and efficiencies against the energy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from matplotlib.ticker import NullLocator

from .._style import COLORS, color_of
from .comparison import model_style
from .spectra import plain_numbers

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes

__all__ = ["correlation_rows", "efficiency_in_bins", "score_profile"]


def _energy_axis(ax: Axes, table: pd.DataFrame) -> None:
    """Make the horizontal axis one of energies, in logarithms where they span more than a factor of four."""
    low, high = float(table["energy_low"].min()), float(table["energy_high"].max())
    ax.set_xlim(low, high)
    if high > 4 * low:
        ax.set_xscale("log")
        plain_numbers(ax.xaxis)
    ax.set_xlabel("reconstructed energy en3d [GeV]")


def score_profile(ax: Axes, table: pd.DataFrame, label: str, *, color: str | None = None) -> list[Artist]:
    """Draw the score of one species against the energy: median with its interval, and bands of 68 and 95 %.

    Parameters
    ----------
    ax : Axes
        Where to draw; both species may share it.
    table : DataFrame
        As :func:`ecalnb.metrics.score_profile` returns it, with its own quantiles. Bins with too few events are left
        out.
    label : str
        Entry in the legend; a species that is known by its label has its own colour.
    color : str, optional
        Colour of all.

    Returns
    -------
    list of Artist
    """
    color = color or color_of(label)
    edges = np.append(table["energy_low"], table["energy_high"].iloc[-1:])
    artists: list[Artist] = []
    for low, high, alpha in ((0.025, 0.975, 0.15), (0.16, 0.84, 0.3)):
        # Steps that end where a bin has no quantiles.
        bottom, top = (np.append(table[name], table[name].iloc[-1]).astype(float) for name in (low, high))
        artists.append(ax.fill_between(edges, bottom, top, step="post", color=color, alpha=alpha, lw=0))
    some = table[table["median"].notna()]
    middle = np.sqrt(some["energy_low"] * some["energy_high"])
    error = [some["median"] - some["median_low"], some["median_high"] - some["median"]]
    points: Any = ax.errorbar(middle, some["median"], error, fmt="o", ms=3, lw=1.2, color=color, label=label)
    artists += points.get_children()
    _energy_axis(ax, table)
    ax.set_ylabel("score (logit)")
    return artists


def efficiency_in_bins(
    ax: Axes, table: pd.DataFrame, *, label: str | None = None, color: str | None = None, shift: int = 0
) -> list[Artist]:
    """Draw the electron efficiency at one threshold in bins of energy; the line is the efficiency asked for.

    Parameters
    ----------
    ax : Axes
        Where to draw; several models may share it.
    table : DataFrame
        As :func:`ecalnb.metrics.rejection_in_bins` returns it with a global threshold and one efficiency. Bins with too
        few events are left out.
    label, color : str, optional
        Entry in the legend, and colour.
    shift : int
        Number of the model: its points stand a little beside those of the others.

    Returns
    -------
    list of Artist
    """
    some = table[table["efficiency_achieved"].notna()]
    names = ("energy_low", "energy_high", "efficiency_achieved", "efficiency_low", "efficiency_high")
    start, stop, value, low, high = (some[name].to_numpy(dtype=float) for name in names)
    middle = np.sqrt(start * stop) * (stop / start) ** (0.08 * shift)
    color = color or COLORS[shift % len(COLORS)]
    bars: Any = ax.errorbar(
        middle,
        100 * value,
        [100 * (value - low), 100 * (high - value)],
        fmt="o",
        ms=3.5,
        lw=1.2,
        color=color,
        label=label,
    )
    ax.axhline(100 * float(table["efficiency"].iloc[0]), color="0.6", lw=0.8, zorder=0)
    _energy_axis(ax, table)
    ax.set_ylabel("electron efficiency [%]")
    return list(bars.get_children())


def correlation_rows(ax: Axes, table: pd.DataFrame) -> list[Artist]:
    """Draw the squared distance correlations of score and energy of each model as a row, for either species.

    Parameters
    ----------
    ax : Axes
        Where to draw.
    table : DataFrame
        As :func:`ecalnb.metrics.energy_dependence` returns it.

    Returns
    -------
    list of Artist
    """
    artists: list[Artist] = []
    table = table.drop_duplicates("model")  # one row an efficiency, with the same correlations
    rows = np.arange(len(table))
    for species, shift in (("electron", -0.12), ("proton", 0.12)):
        value, error = (table[name].to_numpy(dtype=float) for name in (species, f"{species}_error"))
        points: Any = ax.errorbar(
            value, rows + shift, xerr=error, fmt="o", ms=5, lw=1.3, color=color_of(species), label=f"{species}s"
        )
        artists += points.get_children()
    ax.axvline(0, color="0.6", lw=0.8, zorder=0)
    ax.set_yticks(rows, [model_style(name)["label"] for name in table["model"]])
    ax.yaxis.set_minor_locator(NullLocator())
    ax.set_ylim(len(table) - 0.4, -0.6)
    ax.set_xlabel("squared distance correlation of score and energy")
    return artists
