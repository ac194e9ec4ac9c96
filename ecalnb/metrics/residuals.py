"""Residuals of a reconstructed direction or position: bias and resolution in bins, and ratios of two methods.

Two widths are in use, and are not the same number. One-dimensional residuals (an inclination, a slope, a coordinate)
have a Gaussian core (:func:`ecalnb.metrics.gaussian_core`) and a half-width that holds 68 % of the events; for a normal
distribution both are sigma. The space angle between two directions, or the distance of two points, is never negative:
its 68 % containment is 1.5 sigma of either coordinate, if they are normal and alike.

Resolutions as a function of the energy are fitted by :func:`ecalnb.metrics.fit_energy_resolution`, in the unit that
they have.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt
import pandas as pd

from ..intervals import FloatArray, check_level
from ._bins import bin_numbers, check_edges
from .scores import check_numbers, check_weights
from .width import FEWEST_FOR_CORE, gaussian_core

__all__ = [
    "CONTAINED",
    "RATIO_COLUMNS",
    "RESIDUAL_COLUMNS",
    "independent_ratios",
    "residuals_in_bins",
    "resolution_ratios",
]
__all__ += ["space_angles", "without_reference"]

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

RATIO_COLUMNS = {
    "low": "lower edge of the bin",
    "high": "upper edge of the bin",
    "mean": "mean of the events' variable",
    "n": "events of the bin with a residual of both",
    "n_missing": "events of the bin that lack one of them",
    "ratio": "resolution over that of the reference, both of the same events",
    "ratio_error": "its standard error by a paired bootstrap",
    "reason": "why there is no ratio; empty where there is one",
}
"""Columns of the table of `resolution_ratios` after ``name``, and what they hold."""


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
    where, values = check_numbers(variable, "values of the variable").astype(float), _same(residuals, variable)
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


def _same(residuals: npt.ArrayLike, variable: npt.ArrayLike) -> FloatArray:
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
        return _quantile(sample[chosen], 0.5, w), _quantile(abs(sample[chosen]), CONTAINED, w)

    drawn = [measure(chosen) for chosen in generator.integers(0, len(sample), (n_bootstrap, len(sample)))]
    (bias, size), (bias_error, size_error) = measure(slice(None)), np.std(drawn, axis=0, ddof=1)
    return {
        "bias": bias,
        "bias_error": float(bias_error),
        "resolution": size,
        "resolution_error": float(size_error),
        "fraction": CONTAINED,
    }


def _quantile(values: FloatArray, level: float, weights: FloatArray | None) -> float:
    if weights is None:
        return float(np.quantile(values, level))
    return float(np.quantile(values, level, weights=weights, method="inverted_cdf"))


def resolution_ratios(
    variable: npt.ArrayLike,
    residuals: Mapping[str, npt.ArrayLike],
    reference: str,
    edges: npt.ArrayLike,
    *,
    weights: npt.ArrayLike | None = None,
    level: float = CONTAINED,
    min_count: int = 50,
    n_bootstrap: int = 400,
    seed: int | np.random.Generator = 0,
) -> pd.DataFrame:
    """Containment of each method over that of a reference, in bins, on the same events.

    Methods that looked at the same shower are wrong together, so that their ratio is known better than both: a
    bootstrap draws events, with the residuals of both (B. Efron and R. Tibshirani, An Introduction to the Bootstrap,
    1993). Events that one of the two could not reconstruct take no part, and are counted.

    Parameters
    ----------
    variable, edges, weights, min_count
        As of `residuals_in_bins`.
    residuals : mapping of str to array_like, shape (n,)
        Residuals of each method; NaN for an event without a reconstruction.
    reference : str
        The method that the others are divided by.
    level : float
        Fraction of the events within the resolution.
    n_bootstrap : int
        Samples for the errors.
    seed : int or numpy.random.Generator
        Of those.

    Returns
    -------
    pandas.DataFrame
        A row for each other method and bin: its ``name`` and the columns of `RATIO_COLUMNS`. Below 1 the method is
        better than the reference.

    Raises
    ------
    ValueError
        If there is no such reference, or arrays differ in length.
    """
    check_level(level)
    if reference not in residuals:
        raise ValueError(f"no residuals are named {reference!r}; expected one of {', '.join(residuals)}")
    where = check_numbers(variable, "values of the variable").astype(float)
    sizes = {name: abs(_same(values, variable)) for name, values in residuals.items()}
    own = None if weights is None else check_weights(weights, "events", len(where))
    checked = check_edges(edges)
    bins, generator = bin_numbers(where, checked), np.random.default_rng(seed)
    rows = []
    for name in sizes:
        if name == reference:
            continue
        known = np.isfinite(sizes[name]) & np.isfinite(sizes[reference])
        for number in range(len(checked) - 1):
            inside = bins == number
            chosen = np.flatnonzero(inside & known)
            row: dict[str, object] = {
                "name": name,
                **dict.fromkeys(RATIO_COLUMNS, np.nan),
                "low": checked[number],
                "high": checked[number + 1],
                "mean": np.average(where[chosen], weights=None if own is None else own[chosen])
                if len(chosen)
                else np.nan,
                "n": len(chosen),
                "n_missing": np.count_nonzero(inside & ~known),
                "reason": "" if len(chosen) >= min_count else f"{len(chosen)} events, fewer than {min_count}",
            }
            if not row["reason"]:
                pair = sizes[name][chosen], sizes[reference][chosen]
                its_weights = None if own is None else own[chosen]
                drawn = generator.integers(0, len(chosen), (n_bootstrap, len(chosen)))
                replicas = [_ratio(*pair, level, its_weights, rows_drawn) for rows_drawn in drawn]
                row |= {"ratio": _ratio(*pair, level, its_weights), "ratio_error": np.std(replicas, ddof=1)}
            rows.append(row)
    return pd.DataFrame(rows, columns=["name", *RATIO_COLUMNS])


def _ratio(
    above: FloatArray,
    below: FloatArray,
    level: float,
    weights: FloatArray | None,
    chosen: slice | npt.NDArray[np.int64] = slice(None),
) -> float:
    """Containment of one over that of the other, of some of their events."""
    own = None if weights is None else weights[chosen]
    return _quantile(above[chosen], level, own) / _quantile(below[chosen], level, own)


def independent_ratios(table: pd.DataFrame, reference: pd.DataFrame) -> pd.DataFrame:
    """Ratio of the resolutions of two samples that share no event, in the same bins.

    Parameters
    ----------
    table, reference : DataFrame
        As `residuals_in_bins` returns them.

    Returns
    -------
    DataFrame
        ``low``, ``high``, ``mean``, ``ratio``, ``ratio_error`` and ``reason``.

    Raises
    ------
    ValueError
        If the bins are not the same.
    """
    _check_bins(table, reference)
    ratio = table["resolution"] / reference["resolution"]
    first, second = (t["resolution_error"] / t["resolution"] for t in (table, reference))
    result = table[["low", "high", "mean"]].assign(ratio=ratio, ratio_error=ratio * np.hypot(first, second))
    return result.assign(reason=[str(a or b) for a, b in zip(table["reason"], reference["reason"], strict=True)])


def _check_bins(table: pd.DataFrame, reference: pd.DataFrame) -> None:
    if not np.array_equal(table[["low", "high"]], reference[["low", "high"]]):
        raise ValueError(f"the tables have {len(table)} and {len(reference)} bins, or others; expected the same bins")


def without_reference(table: pd.DataFrame, reference: pd.DataFrame) -> pd.DataFrame:
    """Take the resolution of the reference itself out of measured ones, in quadrature.

    On recorded events the truth is a track with an error of its own, which is independent of the shower's.

    Parameters
    ----------
    table : DataFrame
        Of residuals against the reference, as `residuals_in_bins` returns it.
    reference : DataFrame
        Of residuals of the reference against the truth, in the same bins.

    Returns
    -------
    DataFrame
        The table with other resolutions and errors; missing, with the reason, where the reference is no better.

    Raises
    ------
    ValueError
        If the bins are not the same.
    """
    _check_bins(table, reference)
    result = table.copy()
    own, other = table["resolution"].to_numpy(float), reference["resolution"].to_numpy(float)
    own_error, other_error = table["resolution_error"].to_numpy(float), reference["resolution_error"].to_numpy(float)
    with np.errstate(invalid="ignore", divide="ignore"):
        square = own**2 - other**2
        result["resolution"] = np.sqrt(np.where(square > 0, square, np.nan))
        result["resolution_error"] = np.hypot(own * own_error, other * other_error) / result["resolution"]
    both = np.isfinite(own) & np.isfinite(other)
    result["reason"] = [
        str(mine or theirs) or ("the reference is no better" if known and not positive else "")
        for mine, theirs, known, positive in zip(table["reason"], reference["reason"], both, square > 0, strict=True)
    ]
    return result
