"""Figures of the validation of a simulation: profiles, quantities, correlations, electromagnetic-like protons."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from matplotlib.ticker import MaxNLocator

from .._style import COLORS
from .spectra import plain_numbers

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.container import Container

__all__ = [
    "correlation_comparison", "profile_comparison", "quantity_differences", "survivor_fractions", "survivors_by_cut"
]  # fmt: skip

_AXES = {
    "longitudinal": ("layer", "layer energy / momentum", "linear"),
    "lateral": ("distance from the track [cells]", "share of the energy in the ring", "log"),
}


def profile_comparison(
    axes: Sequence[Axes], points: pd.DataFrame, profile: str, *, names: tuple[str, str] = ("reference", "candidate")
) -> list[Artist | Container]:
    """Draw a mean profile of both samples in each bin of momentum, and below it the ratio.

    Parameters
    ----------
    axes : sequence of 2 Axes
        Where to draw the profile and the ratio.
    points : DataFrame
        Of one species, as :func:`ecalnb.validation.compare_profiles` makes it.
    profile : {"longitudinal", "lateral"}
        Which profile.
    names : tuple of str
        What to call reference and candidate.

    Returns
    -------
    list of Artist or Container

    Raises
    ------
    ValueError
        If there are no points of that profile.
    """
    chosen = points[points["profile"] == profile]
    if profile not in _AXES or chosen.empty:
        raise ValueError(f"there are no points of the profile {profile!r}; there are {sorted(set(points['profile']))}")
    top, bottom = axes
    artists: list[Artist | Container] = []
    for color, ((low, high), part) in zip(_cycle(), chosen.groupby(["low", "high"]), strict=False):
        x = part["x"].to_numpy()
        first, second, first_error, second_error = (
            part[name].to_numpy() for name in ("reference", "candidate", "reference_error", "candidate_error")
        )
        artists.append(top.errorbar(x, first, first_error, fmt="o", ms=4, color=color, label=f"{low:g}-{high:g} GeV"))
        artists += top.plot(x, second, color=color, drawstyle="steps-mid" if profile == "longitudinal" else "default")
        seen = first > 0
        ratio = second[seen] / first[seen]
        error = ratio * np.hypot(first_error[seen] / first[seen], second_error[seen] / np.maximum(second[seen], 1e-12))
        artists.append(bottom.errorbar(x[seen], ratio, error, fmt="o", ms=4, color=color))
    x_label, y_label, scale = _AXES[profile]
    top.set_yscale(scale)
    top.set_ylabel(y_label)
    top.legend(title=f"points: {names[0]}, lines: {names[1]}", fontsize="x-small", title_fontsize="x-small")
    top.tick_params(labelbottom=False)
    bottom.axhline(1, color="gray", lw=1)
    bottom.set_ylim(0.7, 1.3)
    bottom.set_xlabel(x_label)
    bottom.xaxis.set_major_locator(MaxNLocator(integer=True))
    bottom.set_ylabel("ratio")
    return artists


def quantity_differences(ax: Axes, table: pd.DataFrame, *, limit: float = 0.3) -> list[Artist | Container]:
    """Draw the relative difference of each quantity in each bin of momentum, with its error; off the scale an arrow.

    Parameters
    ----------
    ax : Axes
        Where to draw.
    table : DataFrame
        Of one species, as :func:`ecalnb.validation.compare_quantities` makes it.
    limit : float
        Largest relative difference on the axis.

    Returns
    -------
    list of Artist or Container
    """
    keys = list(dict.fromkeys(zip(table["quantity"], table["statistic"], strict=True)))
    groups = list(table.groupby(["low", "high"]))
    artists: list[Artist | Container] = []
    for number, (color, ((low, high), part)) in enumerate(zip(_cycle(), groups, strict=False)):
        rows = np.array([keys.index(key) for key in zip(part["quantity"], part["statistic"], strict=True)])
        scale = part["reference"].abs().to_numpy()
        good = scale > 0
        value, error = (part[name].to_numpy()[good] / scale[good] for name in ("difference", "difference_error"))
        y = rows[good] + (number - (len(groups) - 1) / 2) * 0.8 / max(len(groups), 1)
        inside = abs(value) <= limit
        artists.append(
            ax.errorbar(value[inside], y[inside], xerr=error[inside], fmt="o", ms=3, color=color,
                        label=f"{low:g}-{high:g} GeV")
        )  # fmt: skip
        for sign, marker in ((1, ">"), (-1, "<")):
            off = ~inside & (sign * value > 0)
            artists += ax.plot(np.full(off.sum(), sign * 0.98 * limit), y[off], marker, ms=6, color=color)
    ax.axvline(0, color="gray", lw=1)
    ax.set_xlim(-limit, limit)
    ax.set_yticks(range(len(keys)), [name if kind == "mean" else f"{name}, {kind}" for name, kind in keys])
    ax.minorticks_off()
    ax.invert_yaxis()
    ax.tick_params(axis="y", labelsize="x-small")
    ax.set_xlabel("relative difference")
    ax.legend(fontsize="x-small", loc="lower left", bbox_to_anchor=(0, 1), ncols=3)
    return artists


def correlation_comparison(
    ax: Axes, table: pd.DataFrame, *, names: tuple[str, str] = ("reference", "candidate")
) -> list[Artist | Container]:
    """Draw the correlations of layers of both samples, in the highest bin of momentum.

    Parameters
    ----------
    ax : Axes
        Where to draw.
    table : DataFrame
        Of one species, as :func:`ecalnb.validation.compare_correlations` makes it.
    names : tuple of str
        What to call reference and candidate.

    Returns
    -------
    list of Artist or Container
    """
    artists: list[Artist | Container] = []
    last = table[table["low"] == table["low"].max()]
    for color, (lag, part) in zip(_cycle(), last.groupby("lag"), strict=False):
        drawn = ax.errorbar(
            part["layer"], part["reference"], part["reference_error"], fmt="o", ms=4, color=color, label=f"lag {lag}"
        )
        artists += [drawn, *ax.plot(part["layer"], part["candidate"], color=color)]
    ax.set_xlabel("layer")
    ax.set_ylabel("correlation")
    ax.set_ylim(-1, 1)
    ax.legend(title=f"points: {names[0]}, lines: {names[1]}", fontsize="small", title_fontsize="small")
    return artists


def survivor_fractions(
    ax: Axes, table: pd.DataFrame, *, label: str = "", color: str | None = None, shift: float = 1.0
) -> list[Artist | Container]:
    """Draw a fraction of protons in bins; where none is left, an arrow down from the upper end of the interval.

    Parameters
    ----------
    ax : Axes
        Where to draw.
    table : DataFrame
        ``low``, ``high``, ``fraction``, ``fraction_low``, ``fraction_high``, ``passed``.
    label, color : str
        Of the points.
    shift : float
        Factor by which the points are moved sideways, to tell several apart.

    Returns
    -------
    list of Artist or Container
    """
    x = np.sqrt((table["low"] * table["high"]).to_numpy()) * shift
    value, high = table["fraction"].to_numpy(), table["fraction_high"].to_numpy()
    some = (table["passed"] > 0).to_numpy()
    errors = [(value - table["fraction_low"])[some], (high - value)[some]]
    drawn = ax.errorbar(x[some], value[some], errors, fmt="o", ms=5, color=color, label=label)
    limits = ax.plot(x[~some], high[~some], "v", ms=6, color=drawn[0].get_color())
    ax.set_xscale("log")
    ax.set_yscale("log")
    plain_numbers(ax.xaxis)
    return [drawn, *limits]


def survivors_by_cut(ax: Axes, table: pd.DataFrame) -> list[Artist | Container]:
    """Draw the protons that pass each cut, of one engine with full markers and of the other with open ones.

    Parameters
    ----------
    ax : Axes
        Where to draw.
    table : DataFrame
        Of :func:`ecalnb.validation.simple_survivors`.

    Returns
    -------
    list of Artist or Container
    """
    artists: list[Artist | Container] = []
    for number, (engine, rows) in enumerate(table.groupby("engine", sort=False)):
        for color, (cut, part) in zip(_cycle(), rows.groupby("cut", sort=False), strict=False):
            shift = 0.96 + 0.08 * number
            drawn = survivor_fractions(ax, part, color=color, shift=shift, label=f"{engine}, {cut}")
            drawn[0][0].set_markerfacecolor(color if number == 0 else "white")  # type: ignore[index]
            artists += drawn
    ax.set_xlabel("momentum [GeV]")
    ax.set_ylabel("fraction of interacting protons")
    ax.legend(fontsize="x-small", ncols=2, loc="lower left", bbox_to_anchor=(0, 1.05))
    return artists


def _cycle() -> list[str]:
    return [COLORS[index] for index in (0, 1, 2, 3, 4, 5)] * 4
