"""Residuals of a reconstructed direction or position: bias and resolution in bins.

Two widths are in use, and are not the same number. One-dimensional residuals (an inclination, a slope, a coordinate)
have a Gaussian core (:func:`ecalnb.metrics.gaussian_core`) and a half-width that holds 68 % of the events; for a normal
distribution both are sigma. The space angle between two directions, or the distance of two points, is never negative:
its 68 % containment is 1.5 sigma of either coordinate, if they are normal and alike.

Resolutions as a function of the energy are fitted by :func:`ecalnb.metrics.fit_energy_resolution`, in the unit that
they have.
"""

from __future__ import annotations

import logging
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt
import pandas as pd

from ..intervals import FloatArray
from ._bins import bin_numbers, check_edges
from .scores import check_numbers, check_weights
from .width import FEWEST_FOR_CORE, gaussian_core

__all__ = ["CONTAINED", "RESIDUAL_COLUMNS", "residuals_in_bins", "space_angles"]

logger = logging.getLogger(__name__)

Width = Literal["core", "containment"]

CONTAINED = 0.68
"""Fraction of the events that the field quotes containments of."""

RESIDUAL_COLUMNS = {
    "low": "lower edge of the bin",
    "high": "upper edge of the bin",
    "mean": "mean of the events' variable",
    "n": "events of the bin with a residual",
    "n_undefined": "events of the bin without one (NaN): no reconstruction that could be believed",
    "bias": "mean of the core, or median",
    "bias_error": "its standard error",
    "resolution": "sigma of the core, or the largest size of a residual of 68 % of the events",
    "resolution_error": "its standard error",
    "fraction": "fraction of the events in the window of the core; of containments, 0.68",
    "p_value": "goodness of fit of the core; NaN for containments",
    "reason": "why there is no resolution; empty where there is one",
}
"""Columns of the table of `residuals_in_bins`, and what they hold."""


def space_angles(
    slope_x: npt.ArrayLike, slope_y: npt.ArrayLike, other_x: npt.ArrayLike, other_y: npt.ArrayLike
) -> FloatArray:
    """Angle between two directions ``(slope_x, slope_y, 1)``, rad, exact for small ones, too.

    Parameters
    ----------
    slope_x, slope_y, other_x, other_y : array_like, shape (n,)
        dx/d(depth) and dy/d(depth) of either.
    """
    first, second = (
        np.stack(np.broadcast_arrays(np.asarray(x, dtype=float), y, 1.0), axis=-1)
        for x, y in ((slope_x, slope_y), (other_x, other_y))
    )
    across = np.linalg.norm(np.cross(first, second), axis=-1)
    return np.arctan2(across, (first * second).sum(axis=-1))


def residuals_in_bins(
    variable: npt.ArrayLike,
    residuals: npt.ArrayLike,
    edges: npt.ArrayLike,
    *,
    weights: npt.ArrayLike | None = None,
    width: Width = "core",
    min_count: int = 50,
    n_bootstrap: int = 200,
    seed: int | np.random.Generator = 0,
) -> pd.DataFrame:
    """Bias and resolution of residuals in bins of an energy, an inclination or a position.

    Parameters
    ----------
    variable : array_like, shape (n,)
        What the bins are of.
    residuals : array_like, shape (n,)
        Reconstructed minus true, or a space angle; NaN for an event without a reconstruction.
    edges : array_like, shape (bins + 1,)
        Edges of the bins, rising; the upper edge belongs to the next bin, and to the last bin itself.
    weights : array_like, shape (n,), optional
        Weights of the events; all equal unless given. Counts are of events.
    width : {"core", "containment"}
        Gaussian core with a window of two sigma, or the size that 68 % of the residuals do not exceed.
    min_count : int
        Fewest events for which a bin gets a resolution. Below, it has its counts and NaN, and ``reason`` says so.
    n_bootstrap : int
        Samples for the errors of containments.
    seed : int or numpy.random.Generator
        Of those.

    Returns
    -------
    pandas.DataFrame
        A row for each bin, with the columns of `RESIDUAL_COLUMNS`.

    Raises
    ------
    ValueError
        If the arrays differ in length, the variable is not finite, or edges do not rise.
    """
    if width not in get_args(Width):
        raise ValueError(f"width is {width!r}; expected one of {', '.join(map(repr, get_args(Width)))}")
    if min_count < FEWEST_FOR_CORE:
        raise ValueError(f"min_count is {min_count!r}; expected at least {FEWEST_FOR_CORE} events a bin")
    where, values = check_numbers(variable, "values of the variable").astype(float), same_length(residuals, variable)
    own = None if weights is None else check_weights(weights, "events", len(where))
    checked = check_edges(edges)
    bins, known = bin_numbers(where, checked), np.isfinite(values)
    generator = np.random.default_rng(seed)
    rows = []
    for number in range(len(checked) - 1):
        inside = bins == number
        sample, its_weights = values[inside & known], None if own is None else own[inside & known]
        row: dict[str, object] = {
            **dict.fromkeys(RESIDUAL_COLUMNS, np.nan),
            "low": checked[number],
            "high": checked[number + 1],
            "mean": np.average(where[inside & known], weights=its_weights) if len(sample) else np.nan,
            "n": len(sample),
            "n_undefined": np.count_nonzero(inside & ~known),
            "reason": "",
        }
        if len(sample) < min_count:
            row["reason"] = f"{len(sample)} events, fewer than {min_count}"
        else:
            try:
                core = width == "core"
                row |= _core(sample, its_weights) if core else _contained(sample, its_weights, n_bootstrap, generator)
            except ValueError as error:
                row["reason"] = str(error)
        if row["reason"]:
            logger.info("no resolution from %g to %g: %s", row["low"], row["high"], row["reason"])
        rows.append(row)
    return pd.DataFrame(rows)


def same_length(residuals: npt.ArrayLike, variable: npt.ArrayLike) -> FloatArray:
    """Residuals as an array, which must have the shape of the variable."""
    values = np.asarray(residuals, dtype=float)
    if values.shape != np.shape(variable):
        raise ValueError(f"residuals have shape {values.shape}; expected {np.shape(variable)}, as the variable")
    return values


def _core(sample: FloatArray, weights: FloatArray | None) -> dict[str, float]:
    core = gaussian_core(sample, weights)
    return {
        "bias": core.mean,
        "bias_error": core.mean_error,
        "resolution": core.sigma,
        "resolution_error": core.sigma_error,
        "fraction": core.fraction,
        "p_value": core.p_value,
    }


def _contained(
    sample: FloatArray, weights: FloatArray | None, n_bootstrap: int, generator: np.random.Generator
) -> dict[str, float]:
    def measure(chosen: slice | npt.NDArray[np.int64]) -> tuple[float, float]:
        w = None if weights is None else weights[chosen]
        return quantile(sample[chosen], 0.5, w), quantile(abs(sample[chosen]), CONTAINED, w)

    drawn = [measure(chosen) for chosen in generator.integers(0, len(sample), (n_bootstrap, len(sample)))]
    (bias, size), (bias_error, size_error) = measure(slice(None)), np.std(drawn, axis=0, ddof=1)
    return {
        "bias": bias,
        "bias_error": float(bias_error),
        "resolution": size,
        "resolution_error": float(size_error),
        "fraction": CONTAINED,
    }


def quantile(values: FloatArray, level: float, weights: FloatArray | None) -> float:
    """Quantile of values that may have weights."""
    if weights is None:
        return float(np.quantile(values, level))
    return float(np.quantile(values, level, weights=weights, method="inverted_cdf"))
