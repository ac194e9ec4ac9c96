"""Figures of the shower axis: residuals with their core, and resolutions, biases and ratios in bins."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from .._style import COLORS
from ..metrics import EnergyResolution, gaussian_core
from .spectra import plain_numbers

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes

__all__ = ["axis_style", "bias_points", "ratio_points", "residual_histogram", "resolution_curve", "resolution_points"]
__all__ += ["resolution_with_ratio"]

_STEP = 0.06  # of a bin, between the points of methods: a steep curve makes more look like a difference

# A method has the same colour in every figure.
_METHODS = {
    "center_of_gravity": ("centre of gravity", COLORS[4]),
    "cell_ratios": ("cell ratios", COLORS[5]),
    "lateral_fit": ("lateral fit", COLORS[2]),
    "shower_fit_3d": ("3D fit", COLORS[0]),
    "network": ("network", COLORS[1]),
    "network_geant4": ("network, trained on Geant4", COLORS[3]),
}


def axis_style(method: str) -> dict[str, str]:
    """Label and colour of a method that reconstructs the axis, as keyword arguments; black for an unknown one."""
    label, color = _METHODS.get(method, (method.replace("_", " "), COLORS[6]))
    return {"label": label, "color": color}


def residual_histogram(
    ax: Axes, residuals: npt.ArrayLike, *, unit: str, label: str, color: str = COLORS[0], reach: float = 5.0
) -> list[Artist]:
    """Draw residuals as a histogram, and the Gaussian core that is fitted to them, in its window.

    Parameters
    ----------
    ax : Axes
        Where to draw.
    residuals : array_like, shape (n,)
        NaN are left out.
    unit : str
        Of the residuals.
    label : str
        Entry in the legend; sigma of the core is added, or that there is none.
    color : str
        Of all.
    reach : float
        The histogram goes so many half-widths of 68 % to either side of the median.

    Returns
    -------
    list of Artist
    """
    values = np.asarray(residuals, dtype=float)
    values = values[np.isfinite(values)]
    middle = float(np.median(values))
    half = float(np.quantile(abs(values - middle), 0.68)) * reach
    bins = np.linspace(middle - half, middle + half, 41)
    artists: list[Artist] = []
    try:
        core = gaussian_core(values)
    except ValueError:
        label = f"{label}: no Gaussian core"
    else:
        x = np.linspace(core.low, core.high, 200)
        normal = np.exp(-0.5 * ((x - core.mean) / core.sigma) ** 2) / (core.sigma * np.sqrt(2 * np.pi))
        # As many events as the window holds, of which a normal distribution has 95 % there.
        inside = 1 - 2 * 0.02275
        height = core.n_window / inside * (bins[1] - bins[0])
        artists += ax.plot(x, height * normal, color=color, lw=1.6)
        label = rf"{label}: $\sigma$ = {core.sigma:.3g} ± {core.sigma_error:.1g} {unit}"
    _, _, steps = ax.hist(values, bins=bins.tolist(), histtype="step", color=color, lw=1.0, alpha=0.7, label=label)
    ax.set(xlim=(bins[0], bins[-1]), xlabel=rf"reconstructed $-$ true [{unit}]", ylabel="events")
    return [*artists, *np.atleast_1d(np.array(steps, dtype=object))]


def resolution_points(
    ax: Axes, table: pd.DataFrame, *, label: str, color: str | None = None, shift: int = 0
) -> list[Artist]:
    """Draw resolutions in bins with their errors; a bin without one has a cross on the axis.

    Parameters
    ----------
    ax : Axes
        Where to draw; several methods may share it.
    table : DataFrame
        As :func:`ecalnb.metrics.residuals_in_bins` returns it.
    label : str
        Entry in the legend.
    color : str, optional
        Of the points.
    shift : int
        Number of the method: its points stand a little beside those of the others.

    Returns
    -------
    list of Artist
    """
    return _points(ax, table, "resolution", label, color, shift)


def bias_points(ax: Axes, table: pd.DataFrame, *, label: str, color: str | None = None, shift: int = 0) -> list[Artist]:
    """Draw biases in bins with their errors, and a line at none; parameters as of `resolution_points`."""
    ax.axhline(0, color="0.6", lw=0.8, zorder=0)
    return _points(ax, table, "bias", label, color, shift)


def ratio_points(
    ax: Axes, table: pd.DataFrame, *, label: str, color: str | None = None, shift: int = 0
) -> list[Artist]:
    """Draw ratios of resolutions in bins with their errors, and a line at one.

    Parameters are as of `resolution_points`; the table is one method's of :func:`ecalnb.metrics.resolution_ratios`.
    """
    ax.axhline(1, color="0.6", lw=0.8, zorder=0)
    return _points(ax, table, "ratio", label, color, shift)


def _points(ax: Axes, table: pd.DataFrame, name: str, label: str, color: str | None, shift: int) -> list[Artist]:
    low, high, value, error = (table[key].to_numpy(dtype=float) for key in ("low", "high", name, f"{name}_error"))
    ratio = len(table) > 1 and low[0] > 0 and high[-1] > 4 * low[0]
    step = _STEP * ((shift + 1) // 2) * (-1) ** shift
    middle = np.sqrt(low * high) * (high / low) ** step if ratio else (low + high) / 2 + step * (high - low)
    color = color or COLORS[shift % len(COLORS)]
    known = np.isfinite(value)
    bars: Any = ax.errorbar(middle[known], value[known], error[known], fmt="o", ms=4, lw=1.2, color=color, label=label)
    artists = list(bars.get_children())
    if not known.all():
        artists += ax.plot(
            middle[~known], np.full(np.count_nonzero(~known), 0.02), "x", ms=6, color=color,
            transform=ax.get_xaxis_transform(), clip_on=False,
        )  # fmt: skip
    ax.set_xlim(low[0], high[-1])
    if ratio:
        ax.set_xscale("log")
        plain_numbers(ax.xaxis)
    return artists


def resolution_curve(
    ax: Axes, fit: EnergyResolution, low: float, high: float, *, unit: str, label: str = "", **style: Any
) -> list[Artist]:
    """Draw a fitted resolution ``a / sqrt(E) (+) b`` as a function of the energy.

    Parameters
    ----------
    ax : Axes
        Where to draw.
    fit : EnergyResolution
        In any unit.
    low, high : float
        Energies from and to, GeV.
    unit : str
        Of the resolution.
    label : str
        Begins the entry in the legend, which has the terms with their errors.
    **style
        Of the line.

    Returns
    -------
    list of Artist
    """
    energy = np.geomspace(low, high, 200)
    a, b = (f"({getattr(fit, name):.3f} ± {fit.errors[name]:.3f})" for name in ("stochastic", "constant"))
    text = rf"{label} {a} {unit} $E^{{-1/2}}$ $\oplus$ {b} {unit}".strip()
    return list(ax.plot(energy, fit(energy), label=text, **{"lw": 1.2, **style}))


def resolution_with_ratio(
    axes: Sequence[Axes], tables: Mapping[str, pd.DataFrame], ratios: pd.DataFrame, *, reference: str
) -> list[Artist]:
    """Draw resolutions of several methods above their ratios to one of them.

    Parameters
    ----------
    axes : sequence of Axes
        The upper and the lower one, with one energy axis.
    tables : mapping of str to DataFrame
        Resolutions by method, as :func:`ecalnb.metrics.residuals_in_bins` returns them.
    ratios : DataFrame
        As :func:`ecalnb.metrics.resolution_ratios` returns it.
    reference : str
        The method that ratios are to.

    Returns
    -------
    list of Artist
    """
    above, below = axes
    artists: list[Artist] = []
    for number, (name, table) in enumerate(tables.items()):
        artists += resolution_points(above, table, **axis_style(name), shift=number)
        if name != reference:
            artists += ratio_points(below, ratios[ratios["name"] == name], **axis_style(name), shift=number)
    above.set_yscale("log")
    plain_numbers(above.yaxis)
    above.label_outer()
    below.axhline(1, color="0.6", lw=0.8, zorder=0)
    below.set(xlabel="true energy [GeV]", ylabel=f"ratio to\n{axis_style(reference)['label']}")
    return artists
