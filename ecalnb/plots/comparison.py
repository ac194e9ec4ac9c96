"""Figures that compare models: a row for each, and one style a model in all figures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from matplotlib.ticker import NullLocator

from .._style import COLORS
from .spectra import plain_numbers

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes

__all__ = ["factor_rows", "model_style", "rejection_rows"]

# Names of the papers where they have one; simple models dotted, residual networks dash-dotted, transformers solid, the
# experiment's methods dashed.
_STYLES = {
    "ecal_linear": ("linear", COLORS[5], ":"),
    "ecal_svm": ("SVM", COLORS[4], ":"),
    "ecal_simple_mlp": ("MLP", COLORS[3], ":"),
    "ecal_simple_cnn": ("CNN", COLORS[0], ":"),
    "ecal_resnet10": ("ResNet10", COLORS[4], "-."),
    "ecal_resnet18": ("ResNet18", COLORS[5], "-."),
    "ecal_two_view": ("two views", "#5e3c99", "-"),
    "ecal_phys_cvt": ("Phys+CvT", COLORS[2], "-"),
    "ecal_cvt": ("CvT", COLORS[1], "-"),
    "ecal_coatnet0": ("CoAtNet0", COLORS[0], "-"),
    "ecal_coatnet3": ("CoAtNet3", COLORS[5], "-"),
    "shower_bdt": ("BDT, 19 variables", COLORS[6], "--"),
    "shower_likelihood": ("likelihood", "0.5", "--"),
    "energy_momentum": ("E/p", COLORS[6], ":"),
    "ams_bdt": ("AMS BDT", COLORS[6], "-."),
    "ams_likelihood": ("AMS likelihood", "0.5", "-."),
}


def model_style(name: str) -> dict[str, str]:
    """Label, colour and line style of a model, the same in every figure.

    Parameters
    ----------
    name : str
        Name of a model or of packaged weights, such as ``ecal_cvt`` or ``ecal_cvt.fast``; or of a model together with
        E/p, ``ecal_cvt+energy_momentum``. Another one is its own label.

    Returns
    -------
    dict
        ``label``, ``color`` and ``linestyle``, as matplotlib and the functions of this package take them.
    """
    first, plus, second = name.partition("+")
    label, color, linestyle = _STYLES.get(first.partition(".")[0], (first, "0.3", "-"))
    if plus:
        label = f"{label} + {model_style(second)['label']}"
    return {"label": label, "color": color, "linestyle": linestyle}


def rejection_rows(
    ax: Axes, table: pd.DataFrame, *, label: str | None = None, color: str | None = None, shift: float = 0.0
) -> list[Artist]:
    """Draw the rejection of each model as a row: points with intervals, arrows for lower limits.

    Parameters
    ----------
    ax : Axes
        Where to draw; several tables with the same models may share it.
    table : DataFrame
        A row for each model: ``model`` (its name), ``rejection``, ``low_total``, ``high_total`` and ``is_limit`` as
        :func:`ecalnb.metrics.rejection_curve` returns them.
    label, color : str, optional
        Entry in the legend, and colour.
    shift : float
        How far below the middle of the row the points stand, in rows.

    Returns
    -------
    list of Artist
    """
    limit = table["is_limit"].to_numpy(dtype=bool)
    value, low, high = (table[name].to_numpy(dtype=float) for name in ("rejection", "low_total", "high_total"))
    artists = _rows(ax, table["model"], np.where(limit, low, value), low, high, limit, label, color, shift)
    ax.set_xlabel("proton rejection")
    return artists


def factor_rows(
    ax: Axes,
    table: pd.DataFrame,
    *,
    label: str | None = None,
    color: str | None = None,
    shift: float = 0.0,
) -> list[Artist]:
    """Draw by which factor the reference rejects more protons than each model.

    Parameters
    ----------
    ax : Axes
        Where to draw.
    table : DataFrame
        As :func:`ecalnb.metrics.rejection_factors` returns it; a factor that is not known is not drawn. Factors of a
        paper in a column ``published`` are drawn as open diamonds.
    label, color, shift
        As for `rejection_rows`.

    Returns
    -------
    list of Artist
    """
    table = table[table["factor"].notna()]
    value, low, high = (table[name].to_numpy(dtype=float) for name in ("factor", "low", "high"))
    limit = ~np.isfinite(value)
    artists = _rows(ax, table["model"], np.where(limit, low, value), low, high, limit, label, color, shift)
    if "published" in table:
        published = table["published"].to_numpy(dtype=float)
        artists += ax.plot(published, np.arange(len(table)), "D", mfc="none", color="0.4", label="published")
    ax.axvline(1, color="0.6", lw=0.8, zorder=0)
    ax.set_xlabel("rejection of the reference / that of the model")
    return artists


def _rows(
    ax: Axes,
    names: pd.Series,
    value: np.ndarray,
    low: np.ndarray,
    high: np.ndarray,
    limit: np.ndarray,
    label: str | None,
    color: str | None,
    shift: float,
) -> list[Artist]:
    """Points with intervals, one a row from the top; arrows where an end is not known."""
    rows = np.arange(len(names)) + shift
    # From 0 to infinity: nothing is known, and nothing drawn.
    known = (value > 0) | np.isfinite(high)
    rows, value, low, high, limit = (array[known] for array in (rows, value, low, high, limit))
    color = color or COLORS[len(ax.containers) % len(COLORS)]
    open_end, upper = ~np.isfinite(high), value == 0
    # An upper limit is a bar down from it: a logarithmic axis has no zero.
    value, low, limit = np.where(upper, high, value), np.where(upper, high / 2, low), limit | upper
    length = np.where(open_end, value, high - value)
    bars: Any = ax.errorbar(value, rows, xerr=[value - low, length], fmt="none", lw=1.3, color=color)
    artists: list[Artist] = list(bars.get_children())
    artists += ax.plot((value + length)[open_end], rows[open_end], ">", ms=4, color=color)
    if upper.any():
        artists += ax.plot(low[upper], rows[upper], "<", ms=4, color=color)
    # A limit has no point: the rejection is somewhere to the right of the bar.
    artists += ax.plot(value[~limit], rows[~limit], "o", ms=5, color=color, label=label)
    artists += ax.plot(value[limit], rows[limit], "|", ms=9, color=color, label=None if (~limit).any() else label)
    ax.set_xscale("log")
    plain_numbers(ax.xaxis)
    ax.set_yticks(np.arange(len(names)), [model_style(name)["label"] for name in names])
    ax.yaxis.set_minor_locator(NullLocator())
    ax.set_ylim(len(names) - 0.4, -0.6)
    return artists
