"""Figures of two domains: features and scores of both, ratios of shower variables, gains of methods."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from .._style import COLORS, color_of
from .comparison import model_style
from .spectra import draw_histogram, fill_histogram, plain_numbers

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes

__all__ = ["domain_features", "domain_scores", "method_rows", "variable_ratio"]

_MARKERS = {"source": (".", 0.35), "target": ("x", 0.5)}


def domain_features(ax: Axes, features: Mapping[str, npt.ArrayLike], labels: Mapping[str, npt.ArrayLike]) -> None:
    """Draw the features of both domains on their first two principal components.

    Parameters
    ----------
    ax : Axes
        Where to draw.
    features : mapping of str to array, shape (n, d) and (m, d)
        Of ``source`` and ``target``; the components are those of both together.
    labels : mapping of str to array of str, shape (n,) and (m,)
        Species of the events, for the colours.
    """
    arrays = {domain: np.asarray(values, dtype=float) for domain, values in features.items()}
    both = np.concatenate(list(arrays.values()))
    mean = both.mean(axis=0)
    components = np.linalg.svd(both - mean, full_matrices=False)[2][:2]
    for domain, values in arrays.items():
        x, y = components @ (values - mean).T
        marker, alpha = _MARKERS[domain]
        species = np.asarray(labels[domain], dtype=str)
        for name in sorted(set(species)):
            own = species == name
            ax.plot(x[own], y[own], marker, ms=4, alpha=alpha, mew=0.8, color=_color(name, domain),
                    label=f"{domain} {name}")  # fmt: skip
    ax.set_xlabel("first component")
    ax.set_ylabel("second component")


def domain_scores(
    ax: Axes,
    scores: Mapping[str, npt.ArrayLike],
    labels: Mapping[str, npt.ArrayLike],
    *,
    bins: int = 30,
) -> list[Artist]:
    """Draw the scores of both species in both domains, each with the area 1: source as lines, target as points.

    Parameters
    ----------
    ax : Axes
        Where to draw.
    scores : mapping of str to array, shape (n,) and (m,)
        Logits of ``source`` and ``target``.
    labels : mapping of str to array of str, shape (n,) and (m,)
        Species of the events.
    bins : int
        Number of bins over the range of all scores.

    Returns
    -------
    list of Artist
    """
    arrays = {domain: np.asarray(values, dtype=float) for domain, values in scores.items()}
    every = np.concatenate(list(arrays.values()))
    edges = np.linspace(every.min(), np.nextafter(every.max(), np.inf), bins + 1)
    artists: list[Artist] = []
    for domain, values in arrays.items():
        species = np.asarray(labels[domain], dtype=str)
        for name in sorted(set(species)):
            own = values[species == name]
            weights = np.full(len(own), 1 / (len(own) * (edges[1] - edges[0])))
            histogram = fill_histogram(own, edges, weights, f"{name} of the {domain}")
            label = f"{domain} {name} ({len(own):,})"
            artists += draw_histogram(ax, histogram, label, _color(name, domain), domain == "target")
    ax.set_yscale("log")
    ax.set_ylim(top=8 * ax.dataLim.ymax)  # room for the legend
    ax.set_xlabel("score (logit)")
    ax.set_ylabel("events, normalised")
    return artists


def variable_ratio(
    axes: Sequence[Axes],
    target: npt.ArrayLike,
    sources: Mapping[str, npt.ArrayLike],
    *,
    weights: Mapping[str, npt.ArrayLike] | None = None,
    bins: int = 20,
    name: str = "target",
) -> list[Artist]:
    """Draw a shower variable of the target as points over that of one or more sources, and below it the ratios.

    Parameters
    ----------
    axes : sequence of 2 Axes
        For the distributions, each with the area 1, and for the ratio of the target to each source.
    target : array, shape (n,)
        Values of the target's events; those that are not finite are left out, here and below.
    sources : mapping of str to array
        Values of the sources' events, by what to call them.
    weights : mapping of str to array, optional
        Weights of the sources' events.
    bins : int
        Bins over the central 99 % of the target.
    name : str
        What to call the target.

    Returns
    -------
    list of Artist
    """
    top, bottom = axes
    values = np.asarray(target, dtype=float)
    values = values[np.isfinite(values)]
    low, high = np.quantile(values, [0.005, 0.995])
    edges = np.linspace(low, high, bins + 1)
    centre, width = (edges[1:] + edges[:-1]) / 2, np.diff(edges)
    data, data_error = _density(values, None, edges)
    artists: list[Artist] = []
    points: Any = top.errorbar(centre, data, data_error, fmt="o", ms=3, lw=1, color="black", label=name)
    artists += points.get_children()
    for number, (label, source) in enumerate(sources.items()):
        model, model_error = _density(
            np.asarray(source, dtype=float), None if weights is None else np.asarray(weights[label], float), edges
        )
        color = COLORS[number]
        artists.append(top.stairs(model, edges, color=color, label=label))
        some = (model > 0) & (data > 0)
        ratio = data[some] / model[some]
        error = ratio * np.hypot(data_error[some] / data[some], model_error[some] / model[some])
        shift = 0.12 * (number - (len(sources) - 1) / 2) * width[some]
        bars: Any = bottom.errorbar(centre[some] + shift, ratio, error, fmt="o", ms=3, lw=1, color=color)
        artists += bars.get_children()
    bottom.axhline(1, color="gray", lw=1)
    bottom.set_ylim(0.5, 1.5)
    bottom.set_ylabel("ratio")
    top.set_ylim(0, 1.45 * top.dataLim.ymax)  # room for the legend
    top.set_ylabel("normalised")
    top.tick_params(labelbottom=False)
    return artists


def method_rows(ax: Axes, table: pd.DataFrame, *, value: str = "rejection") -> None:
    """Draw what each method reaches at each efficiency as a row, with its interval.

    Parameters
    ----------
    ax : Axes
        Where to draw.
    table : DataFrame
        As :func:`ecalnb.metrics.rejection_by_method` returns it, for one window.
    value : {"rejection", "gain"}
        What to draw. A limit is an arrow; a gain that is not known is left out.
    """
    methods = list(dict.fromkeys(table["method"]))
    ends = ("low_total", "high_total") if value == "rejection" else ("gain_low", "gain_high")
    groups = list(table.groupby("efficiency"))
    for number, (efficiency, part) in enumerate(groups):
        y = part["method"].map(methods.index).to_numpy() + 0.22 * (number - (len(groups) - 1) / 2)
        middle, low, high = (part[name].to_numpy(dtype=float) for name in (value, *ends))
        limit = ~np.isfinite(middle) & np.isfinite(low)
        some = np.isfinite(middle) & np.isfinite(low)
        # An interval without an upper end is drawn up to ten times the value.
        top = np.where(np.isfinite(high), high, 10 * middle)[some]
        bars = [middle[some] - low[some], top - middle[some]]
        color, label = COLORS[number], f"{100 * float(str(efficiency)):g} %"
        ax.errorbar(middle[some], y[some], xerr=bars, fmt="o", ms=4, lw=1.3, color=color, label=label)
        ax.plot(low[limit], y[limit], ">", ms=5, color=color)
    if value == "rejection":
        ax.set_xscale("log")
        plain_numbers(ax.xaxis)
    ax.set_yticks(range(len(methods)), [model_style(name.replace("_", " "))["label"] for name in methods])
    ax.tick_params(axis="y", which="minor", left=False, right=False)
    ax.set_ylim(len(methods) - 0.4, -0.6)
    ax.set_xlabel("proton rejection" if value == "rejection" else "rejection / that of source only")


def _color(species: str, domain: str) -> str:
    """Colour of a species, a paler one in the target."""
    pale = {"electron": COLORS[4], "proton": COLORS[5]}
    return pale.get(species, "0.5") if domain == "source" else color_of(species)


def _density(
    values: npt.NDArray[np.float64], weights: npt.NDArray[np.float64] | None, edges: npt.NDArray[np.float64]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Share of the events in each bin, over its width, and its error."""
    finite = np.isfinite(values)
    w = np.ones(len(values)) if weights is None else weights
    content = np.histogram(values[finite], edges, weights=w[finite])[0]
    squares = np.histogram(values[finite], edges, weights=w[finite] ** 2)[0]
    norm = w[finite].sum() * np.diff(edges)
    return content / norm, np.sqrt(squares) / norm
