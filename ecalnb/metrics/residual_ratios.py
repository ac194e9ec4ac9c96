"""Resolutions beside each other: ratios of two methods or samples, and what is left without the reference's own."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import pandas as pd

from ..intervals import FloatArray, check_level
from ._bins import bin_numbers, check_edges
from .residuals import CONTAINED, quantile, same_length
from .scores import check_numbers, check_weights

__all__ = ["RATIO_COLUMNS", "independent_ratios", "resolution_ratios", "without_reference"]

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
    sizes = {name: abs(same_length(values, variable)) for name, values in residuals.items()}
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
    return quantile(above[chosen], level, own) / quantile(below[chosen], level, own)


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
