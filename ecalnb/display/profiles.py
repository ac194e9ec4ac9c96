"""Longitudinal and lateral profiles of showers, and how well the layers follow the track.

Each quantity is computed by one function (``longitudinal``, ``lateral``, ``residuals``), and drawn by another
(``longitudinal_profile``, ``lateral_profile``, ``track_residuals``), which takes an ``ax``.
The definitions are geometrical: no shower model is fitted here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, get_args

import numpy as np
import numpy.typing as npt
import pandas as pd

from ..geometry import View

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.collections import FillBetweenPolyCollection
    from matplotlib.container import ErrorbarContainer

    from ..showers import Showers

__all__ = [
    "ProfileArtists",
    "lateral",
    "lateral_profile",
    "longitudinal",
    "longitudinal_profile",
    "residuals",
    "track_residuals",
]

_SPREAD = (15.87, 84.13)  # percentiles that hold 68.27 % of the events
FloatArray = npt.NDArray[np.float64]


class ProfileArtists(NamedTuple):
    """What a profile function has drawn."""

    points: ErrorbarContainer
    spread: FillBetweenPolyCollection | None


def _summary(values: FloatArray, **coordinates: npt.ArrayLike) -> pd.DataFrame:
    """Mean, error of the mean and 68 % spread of each column of ``values``; NaN entries do not count."""
    n = np.isfinite(values).sum(axis=0)
    if not n.all():
        values = values.copy()
        values[:, n == 0] = np.nan
    mean, error, low, high = np.full((4, values.shape[1]), np.nan)
    some, several = n > 0, n > 1
    mean[some] = np.nanmean(values[:, some], axis=0)
    error[several] = np.nanstd(values[:, several], axis=0, ddof=1) / np.sqrt(n[several])
    low[some], high[some] = np.nanpercentile(values[:, some], _SPREAD, axis=0)
    return pd.DataFrame({**coordinates, "mean": mean, "error": error, "low": low, "high": high, "n": n})


def _need_events(showers: Showers, what: str) -> None:
    if len(showers) == 0:
        raise ValueError(f"no events to make a {what} of; expected at least one")


def longitudinal(showers: Showers, *, fraction: bool = False) -> pd.DataFrame:
    """Mean energy of each layer.

    Parameters
    ----------
    showers : Showers
        One event or many.
    fraction : bool
        Divide each event's layers by its image sum first, so that every event counts the same. Events without any
        energy do not count.

    Returns
    -------
    DataFrame
        One row a layer: ``depth_x0`` (middle of the layer in radiation lengths, vertically), ``mean``, ``error`` (of
        the mean), ``low`` and ``high`` (16 % and 84 % quantiles over the events) in GeV or as a fraction, ``n``.

    Raises
    ------
    ValueError
        If there are no events.
    """
    _need_events(showers, "longitudinal profile")
    energy = showers.layer_energies
    if fraction:
        total = energy.sum(axis=1, keepdims=True)
        energy = np.divide(energy, total, out=np.full_like(energy, np.nan), where=total > 0)
    return _summary(energy, depth_x0=showers.geometry.layer_depths_x0)


def lateral(showers: Showers, *, edges: npt.ArrayLike | None = None, view: View | None = None) -> pd.DataFrame:
    """Mean energy density against the distance from the track, as a fraction of each event's energy.

    The distance is horizontal, from the middle of a cell to the track at the middle of its layer, along the coordinate
    that the layer measures: a projection, ``(1/E) dE/d|u|``, not a radial density. Tracks hit cells anywhere, so the
    result is the true projection smeared with one cell.

    Parameters
    ----------
    showers : Showers
        Events with tracks.
    edges : array_like, optional
        Borders of the bins of distance, mm; every cell pitch from 0 to 25 pitches unless given.
    view : {"x", "y"}, optional
        Only the layers that measure this coordinate; all layers unless given.

    Returns
    -------
    DataFrame
        One row a bin: ``distance_low``, ``distance_high`` (mm), ``mean``, ``error``, ``low``, ``high`` (1/mm), ``n``.

    Raises
    ------
    ValueError
        If there are no events, or the edges do not increase from 0 or more.
    """
    _need_events(showers, "lateral profile")
    geometry = showers.geometry
    borders = np.arange(26) * geometry.cell_pitch if edges is None else np.asarray(edges, dtype=float)
    if borders.ndim != 1 or len(borders) < 2 or borders[0] < 0 or not (np.diff(borders) > 0).all():
        raise ValueError(f"edges are {borders!r}; expected at least two distances in mm, increasing, from 0 or more")
    layers = np.arange(geometry.n_layers) if view is None else geometry.layers(view)
    density = np.empty((len(showers), len(borders) - 1))
    done = 0
    for part in showers.batches(1000):  # the distances of all cells of all events at once would fill the memory
        track = geometry.project(part.tracks)[:, layers]
        energy = part.images[:, layers].astype(float).reshape(len(part), -1)
        distance = abs(geometry.cell_centers() - track[:, :, None]).reshape(len(part), -1)
        index = np.searchsorted(borders, distance, side="right") - 1
        inside = (index >= 0) & (index < len(borders) - 1) & np.isfinite(distance)
        event = np.broadcast_to(np.arange(len(part))[:, None], index.shape)
        summed = np.zeros((len(part), len(borders) - 1))
        np.add.at(summed, (event[inside], index[inside]), energy[inside])
        total = energy.sum(axis=1, keepdims=True)
        usable = (total > 0) & np.isfinite(track).all(axis=1, keepdims=True)
        part_density = np.full_like(summed, np.nan)
        np.divide(summed, total * np.diff(borders), out=part_density, where=usable)
        density[done : done + len(part)] = part_density
        done += len(part)
    return _summary(density, distance_low=borders[:-1], distance_high=borders[1:])


def residuals(showers: Showers, *, threshold: float = 0.0) -> FloatArray:
    """Distance of each layer's centre of gravity from the track, along the coordinate that the layer measures.

    Parameters
    ----------
    showers : Showers
        Events with tracks.
    threshold : float
        Only layers with more energy than this, GeV.

    Returns
    -------
    array, shape (n, n_layers)
        mm; NaN for a layer without enough energy.
    """
    geometry = showers.geometry
    energy = showers.layer_energies
    moment = showers.images.astype(float) @ geometry.cell_centers()
    centre = np.divide(moment, energy, out=np.full_like(energy, np.nan), where=energy > max(threshold, 0.0))
    return centre - geometry.project(showers.tracks)


def _points(
    ax: Axes,
    x: FloatArray,
    xerr: FloatArray | None,
    table: pd.DataFrame,
    color: str | None,
    label: str | None,
    band: bool,
) -> ProfileArtists:
    mean, error = (table[name].to_numpy(dtype=float) for name in ("mean", "error"))
    points = ax.errorbar(x, mean, yerr=np.nan_to_num(error), xerr=xerr, fmt="o", ms=4, lw=1.2, color=color, label=label)
    spread = None
    if band:
        low, high = (table[name].to_numpy(dtype=float) for name in ("low", "high"))
        spread = ax.fill_between(x, low, high, color=points.lines[0].get_color(), alpha=0.18, lw=0)
    return ProfileArtists(points, spread)


def longitudinal_profile(
    ax: Axes,
    showers: Showers,
    *,
    fraction: bool = False,
    label: str | None = None,
    color: str | None = None,
    band: bool = True,
) -> ProfileArtists:
    """Draw the energy of each layer against depth: of one event, or the mean of many.

    Points are means with the error of the mean; the band holds 68 % of the events. See :func:`longitudinal`.
    """
    table = longitudinal(showers, fraction=fraction)
    scale = 1.0 if fraction else 1000.0
    table[["mean", "error", "low", "high"]] *= scale
    artists = _points(ax, table["depth_x0"].to_numpy(), None, table, color, label, band and len(showers) > 1)
    ax.set_xlim(0, showers.geometry.radiation_lengths)
    ax.autoscale(axis="y")  # again for each species drawn, which a fixed lower end alone would prevent
    ax.set_ylim(bottom=0)
    ax.set_xlabel("depth [$X_0$]")
    ax.set_ylabel("fraction of visible energy per layer" if fraction else "energy per layer [MeV]")
    return artists


def lateral_profile(
    ax: Axes,
    showers: Showers,
    *,
    edges: npt.ArrayLike | None = None,
    view: View | None = None,
    label: str | None = None,
    color: str | None = None,
    band: bool = True,
) -> ProfileArtists:
    """Draw the energy density against the distance from the track, normalised event by event.

    Points are means with the error of the mean, bars along the axis the bins; the band holds 68 % of the events. See
    :func:`lateral`.
    """
    table = lateral(showers, edges=edges, view=view)
    low, high = (table[name].to_numpy() for name in ("distance_low", "distance_high"))
    # A band may reach down to no energy at all, for which a logarithmic axis has no place: it ends below the means.
    smallest = table["mean"].where(table["mean"] > 0).min()
    table[["low", "high"]] = table[["low", "high"]].clip(lower=smallest / 2)
    artists = _points(ax, (low + high) / 2, (high - low) / 2, table, color, label, band and len(showers) > 1)
    ax.set_yscale("log")
    ax.set_xlim(left=0)
    names = {
        None: "|distance from track| [mm]",
        **{name: f"|{name} $-$ {name} of track| [mm]" for name in get_args(View)},
    }
    ax.set_xlabel(names[view])
    ax.set_ylabel("fraction of energy per mm")
    return artists


def track_residuals(
    ax: Axes, showers: Showers, *, threshold: float = 0.0, label: str | None = None, color: str | None = None
) -> ProfileArtists:
    """Draw the mean distance of the layers' centres of gravity from the track, layer by layer.

    Points are means with the error of the mean; the band holds 68 % of the events. See :func:`residuals`.
    """
    _need_events(showers, "residual plot")
    geometry = showers.geometry
    table = _summary(residuals(showers, threshold=threshold), layer=np.arange(geometry.n_layers))
    artists = _points(ax, table["layer"].to_numpy(dtype=float), None, table, color, label, len(showers) > 1)
    ax.axhline(0, color="0.5", lw=0.8, zorder=0)
    ax.set_xticks(
        np.arange(geometry.n_layers), [f"{i}\n{name}" for i, name in enumerate(geometry.views)], fontsize="small"
    )
    ax.tick_params(axis="x", which="minor", length=0)
    ax.set_xlabel("layer, and the coordinate it measures")
    ax.set_ylabel("centre of gravity $-$ track [mm]")
    return artists
