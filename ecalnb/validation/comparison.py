"""Physics quantities of two samples side by side: a number with its error for each, and the difference with its own.

Errors are statistical, of two independent samples. For twins (events at the same energies and tracks) what the two have
in common through the energy is counted as if it fluctuated, so that their errors are a little too large, never too
small.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.stats import ks_2samp

from ..showers import Showers
from ..splits import split_of
from .conditions import Pair, ValidationError
from .estimates import Estimate, difference, fraction, hotelling, mean, quantile, width
from .interactions import compare_interactions, with_truth
from .quantities import HADRONS, QUANTITIES, RING_EDGES, Quantity, lateral_shares, layer_response

__all__ = ["compare_correlations", "compare_profiles", "compare_quantities", "energy_edges", "select_sample"]

FloatArray = npt.NDArray[np.float64]
_MINIMUM = 50  # events of each sample in a bin
_EDGES = (1, 5, 10, 25, 50, 100, 200, 400, 2000, 10000, 100000)


def select_sample(pair: Pair, evaluate_on: str = "test") -> Pair:
    """Events to compare: those of the sample ``test``, or while developing those of ``train`` and ``validation``.

    The sample applies to the reference and to a candidate that is its twin; an independent candidate was fitted to
    other events, and keeps all but those of the sample ``fit``.

    Raises
    ------
    ValidationError
        If no event is left.
    """
    samples = {"test": ("test",), "validation": ("train", "validation")}
    if evaluate_on not in samples:
        raise ValidationError(f"evaluate_on is {evaluate_on!r}; expected 'test' or 'validation'")
    chosen = []
    for index, showers in enumerate((pair.reference, pair.candidate)):
        sample = split_of(showers.table["file_id"].to_numpy(), showers.table["entry"].to_numpy())
        keep = sample != "fit" if index and not pair.twins else np.isin(sample, samples[evaluate_on])
        if not keep.any():
            raise ValidationError(
                f"the {('reference', 'candidate')[index]} has no {pair.label} events in the sample "
                f"{' or '.join(samples[evaluate_on])}, out of {len(showers)}"
            )
        chosen.append(showers[keep])
    return Pair(chosen[0], chosen[1], pair.twins, pair.label)


def energy_edges(pair: Pair, edges: Sequence[float] | None = None) -> list[float]:
    """Edges of the bins of momentum, GeV, in which both samples have 50 events or more; the default ones unless told.

    Raises
    ------
    ValidationError
        If there is no such bin.
    """
    edges = _EDGES if edges is None else list(edges)
    momenta = [showers.table["momentum"].to_numpy(dtype=float) for showers in (pair.reference, pair.candidate)]
    counts = [np.histogram(momentum, edges)[0] for momentum in momenta]
    full = np.flatnonzero(np.minimum(*counts) >= _MINIMUM)
    if not len(full):
        raise ValidationError(
            f"no bin of momentum has {_MINIMUM} {pair.label} events of both samples; there are {len(pair.reference)} "
            f"of the reference and {len(pair.candidate)} of the candidate"
        )
    return [float(edge) for edge in edges[full[0] : full[-1] + 2]]


def compare_quantities(
    pair: Pair, edges: Sequence[float] | None = None, quantities: Sequence[Quantity] = QUANTITIES
) -> pd.DataFrame:
    """Compare quantities in bins of momentum.

    Parameters
    ----------
    pair : Pair
        The samples; see `select_sample`.
    edges : sequence of float, optional
        Edges of the bins, GeV.
    quantities : sequence of Quantity
        What to compare.

    Returns
    -------
    pandas.DataFrame
        A row for each statistic in each bin: ``label``, ``quantity``, ``statistic`` (``mean``, ``fraction``,
        ``width``, ``q05``...), ``unit``, ``low``, ``high`` (bin, GeV), ``n_reference``, ``n_candidate``, ``reference``,
        ``candidate``, ``difference`` (candidate minus reference), each with ``_error``, ``pull`` (difference over its
        error), and for a mean of numbers ``p_value`` of the Kolmogorov-Smirnov test of the distributions. For hadrons
        also where they interact first (:mod:`ecalnb.validation.interactions`).
    """
    rows = []
    if pair.label in HADRONS:
        pair = with_truth(pair)
    for low, high, first, second in _bins(pair, edges):
        for quantity in quantities:
            if quantity.labels and pair.label not in quantity.labels:
                continue
            a, b = (_finite(quantity.values(showers)) for showers in (first, second))
            if min(len(a), len(b)) < 20:
                continue
            p = np.nan if a.dtype == bool or set(np.unique(a)) <= {0, 1} else ks_2samp(a, b, method="asymp").pvalue
            for name, statistic in _statistics(quantity, a):
                rows.append(
                    {
                        "label": pair.label, "quantity": quantity.name, "statistic": name, "unit": quantity.unit,
                        "low": low, "high": high, "n_reference": len(a), "n_candidate": len(b),
                        **difference(statistic(a), statistic(b)), "p_value": p if name == "mean" else np.nan,
                    }
                )  # fmt: skip
        if pair.label in HADRONS:
            common = {"label": pair.label, "low": low, "high": high}
            rows += [common | row for row in compare_interactions(first, second, _MINIMUM)]
    return pd.DataFrame(rows)


def compare_profiles(pair: Pair, edges: Sequence[float] | None = None) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Compare the mean longitudinal and lateral profiles in bins of momentum.

    Returns
    -------
    points, tests : pandas.DataFrame
        Points: ``label``, ``profile`` (``longitudinal``: energy of a layer over the momentum; ``lateral``: share of the
        energy in a ring about the track), ``low``, ``high``, ``x`` (layer, or distance in cells), ``reference``,
        ``candidate``, ``difference`` with errors. Tests: a row for each profile and bin with ``chi2`` and ``ndf`` of
        the difference of the two mean profiles under their covariance (Hotelling's test), and ``p_value``; and
        ``largest``, the largest relative difference of a point that has at least 1 % of the energy, with its error.
    """
    middles = (np.array(RING_EDGES[1:]) + np.array(RING_EDGES[:-1])) / 2
    points, tests = [], []
    for low, high, first, second in _bins(pair, edges):
        for name, function in (("longitudinal", layer_response), ("lateral", lateral_shares)):
            samples = [values[np.isfinite(values).all(axis=1)] for values in map(function, (first, second))]
            x = np.arange(samples[0].shape[1], dtype=float) if name == "longitudinal" else middles
            table = pd.DataFrame(
                [difference(*(mean(values[:, column]) for values in samples)) for column in range(len(x))]
            )
            common = {"label": pair.label, "profile": name, "low": low, "high": high}
            points.append(pd.concat([pd.DataFrame([common] * len(x)), pd.DataFrame({"x": x}), table], axis=1))
            tests.append({**common, **hotelling(*samples), **_largest(table)})
    return pd.concat(points, ignore_index=True), pd.DataFrame(tests)


def compare_correlations(
    pair: Pair, edges: Sequence[float] | None = None, lags: Sequence[int] = (1, 2, 4)
) -> pd.DataFrame:
    """Compare the correlations of the shares of layers in the energy of an event.

    Parameters
    ----------
    pair : Pair
        The two samples of one species.
    edges : sequence of float, optional
        Edges of the bins of momentum, GeV; the default ones unless told.
    lags : sequence of int
        Distances of the two layers, in layers.

    Returns
    -------
    pandas.DataFrame
        ``label``, ``low``, ``high``, ``layer``, ``lag``, and the correlation of that layer with the one ``lag`` further
        down: ``reference``, ``candidate``, ``difference`` with errors (of Fisher's z), and ``pull``.
    """
    rows = []
    for low, high, first, second in _bins(pair, edges):
        matrices = []
        for showers in (first, second):
            energy = showers.layer_energies[showers.energies > 0]
            with np.errstate(invalid="ignore", divide="ignore"):
                matrices.append((np.corrcoef(energy / energy.sum(axis=1, keepdims=True), rowvar=False), len(energy)))
        for lag in lags:
            for layer in range(pair.reference.geometry.n_layers - lag):
                numbers = [
                    (float(matrix[layer, layer + lag]), float((1 - matrix[layer, layer + lag] ** 2) / np.sqrt(n - 3)))
                    for matrix, n in matrices
                ]
                rows.append({"label": pair.label, "low": low, "high": high, "layer": layer, "lag": lag,
                             **difference(*numbers)})  # fmt: skip
    return pd.DataFrame(rows)


def _bins(pair: Pair, edges: Sequence[float] | None) -> Iterator[tuple[float, float, Showers, Showers]]:
    momenta = [s.table["momentum"].to_numpy(dtype=float) for s in (pair.reference, pair.candidate)]
    for low, high in itertools.pairwise(energy_edges(pair, edges)):
        inside = [(p >= low) & (p < high) for p in momenta]
        if min(mask.sum() for mask in inside) >= _MINIMUM:
            yield low, high, pair.reference[inside[0]], pair.candidate[inside[1]]


def _finite(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    return values[np.isfinite(values)]


def _statistics(quantity: Quantity, values: npt.NDArray[Any]) -> list[tuple[str, Callable[..., Estimate]]]:
    """Names and functions of the statistics of a quantity."""
    if set(np.unique(values)) <= {0, 1}:
        return [("fraction", fraction)]
    chosen: list[tuple[str, Callable[..., Estimate]]] = [("mean", mean)]
    if quantity.spread:
        chosen.append(("width", width))
    for q in quantity.quantiles:
        chosen.append((f"q{100 * q:02.0f}", lambda sample, q=q: quantile(sample, q)))
    return chosen


def _largest(table: pd.DataFrame) -> dict[str, float]:
    """Largest relative difference among the points with at least 1 % of the profile's sum."""
    strong = table[table["reference"] > 0.01 * table["reference"].sum()]
    row = strong.iloc[int((strong["difference"] / strong["reference"]).abs().to_numpy().argmax())]
    return {
        "largest": float(row["difference"] / row["reference"]),
        "largest_error": float(row["difference_error"] / row["reference"]),
    }
