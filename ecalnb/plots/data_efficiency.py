"""Figure of the rejection against the number of training events."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from .._style import COLORS
from .spectra import plain_numbers

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes

__all__ = ["rejection_against_events"]


def rejection_against_events(
    ax: Axes,
    points: pd.DataFrame,
    fits: pd.DataFrame | None = None,
    *,
    label: str | None = None,
    color: str | None = None,
    linestyle: str = "-",
    marker: str = "o",
    earlier: bool = False,
    shift: int = 0,
) -> list[Artist]:
    """Draw the rejection of a model against the number of its training events, and the power law fitted to it.

    Parameters
    ----------
    ax : Axes
        Where to draw; several models may share it.
    points : DataFrame
        Points of one model: ``events``, ``rejection``, ``low``, ``high`` and ``is_limit``, as in
        :class:`ecalnb.metrics.DataEfficiency`.
    fits : DataFrame, optional
        Fit of the model: one row of the table of fits, or none.
    label, color, linestyle, marker : str, optional
        Entry in the legend, colour, line of the fit, and points.
    earlier : bool
        Draw open points: they were not measured together with the others.
    shift : int
        Number of the model: its points stand a little beside those of the others.

    Returns
    -------
    list of Artist
    """
    color = color or COLORS[shift % len(COLORS)]
    events, rejection, low, high = (points[name].to_numpy(float) for name in ("events", "rejection", "low", "high"))
    limit = points["is_limit"].to_numpy(bool)
    x = events * 1.04**shift
    y = np.where(limit, low, rejection)
    # A limit has no upper end; an arrow stands for it.
    yerr = [np.where(limit, 0, y - low), np.where(limit, 0.4 * low, np.minimum(high, 1e3 * y) - y)]
    face = "white" if earlier else color
    bars: Any = ax.errorbar(
        x, y, yerr, fmt=marker, ms=5, mfc=face, lw=1.2, color=color, lolims=limit, label=label, zorder=3
    )
    artists: list[Artist] = list(bars.get_children())
    for row in () if fits is None else fits.to_dict("records"):
        along = np.geomspace(events.min(), events.max(), 50)
        law = row["rejection"] * (along / row["reference_events"]) ** row["exponent"]
        artists += ax.plot(along, law, ls=linestyle, lw=1, color=color)
    ax.set_xscale("log")
    ax.set_yscale("log")
    plain_numbers(ax.xaxis)
    plain_numbers(ax.yaxis)
    ax.set_xlabel("training events")
    ax.set_ylabel("proton rejection")
    return artists
