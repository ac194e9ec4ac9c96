"""Figure of the calibration of scores."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy.special import logit

from .._style import COLORS

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes

__all__ = ["reliability"]

_TICKS = (0.001, 0.01, 0.1, 0.5, 0.9, 0.99, 0.999)


def reliability(
    ax: Axes, table: pd.DataFrame, *, label: str | None = None, color: str | None = None, marker: str = "o"
) -> list[Artist]:
    """Draw the fraction of electrons against the predicted probability; the diagonal is a calibrated score.

    Both axes are logits, written as probabilities: most events are near 0 or 1, where a linear axis shows nothing.

    Parameters
    ----------
    ax : Axes
        Where to draw; several scores may share it.
    table : DataFrame
        As :func:`ecalnb.metrics.reliability` returns it. A bin with one species only has a bar, and no point.
    label, color, marker : str, optional
        Entry in the legend, colour, and marker.

    Returns
    -------
    list of Artist
    """
    color = color or COLORS[len(ax.containers) % len(COLORS)]
    ends = logit(np.array([0.0003, 0.9997]))
    names = ("predicted", "observed", "low", "high")
    with np.errstate(divide="ignore"):
        x, y, low, high = (np.clip(logit(table[name].to_numpy(float)), *(3 * ends)) for name in names)
    both = table["observed"].between(0, 1, inclusive="neither").to_numpy()
    artists: list[Artist] = [ax.vlines(x, low, high, color=color, lw=1.2)]
    artists += ax.plot(x[both], y[both], marker, ms=5, color=color, label=label)
    artists.append(ax.axline((0, 0), slope=1, color="0.6", lw=0.8, zorder=0))
    ticks: Any = logit(np.array(_TICKS))
    ax.set_xticks(ticks, [f"{tick:g}" for tick in _TICKS])
    ax.set_yticks(ticks, [f"{tick:g}" for tick in _TICKS])
    ax.minorticks_off()
    ax.set_xlim(ends)
    ax.set_ylim(ends)
    ax.set_xlabel("predicted probability of an electron")
    ax.set_ylabel("fraction of electrons")
    return artists
