"""Energy spectra of two species: their common window, and matching one to the other.

Two species are compared fairly only where both exist, and with the same spectrum inside: a rejection mixes energies
with the weights of the spectrum that the sample happens to have.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from .intervals import FloatArray

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["common_window", "matched_bins", "spectrum_thinning", "spectrum_weights"]

logger = logging.getLogger(__name__)


def common_window(
    energy_a: npt.ArrayLike, energy_b: npt.ArrayLike, edges: npt.ArrayLike | None = None, min_count: int = 20
) -> tuple[float, float]:
    """Energy range in which both samples have enough events in every bin.

    Parameters
    ----------
    energy_a, energy_b : array_like, shape (n,) and (m,)
        Energies of the two species, GeV; ``en3d`` of both.
    edges : array_like, optional
        Edges of the bins to count in, GeV; ten equal logarithmic bins a decade unless told.
    min_count : int
        Fewest events of each species in a bin.

    Returns
    -------
    low, high : float
        Edges of the longest run of such bins (the one with most events, of the rarer species, where there are several).

    Raises
    ------
    ValueError
        If there is no such bin, a sample is empty, or an energy is NaN.
    """
    a, b = _energies(energy_a, "first"), _energies(energy_b, "second")
    if edges is None:
        low, high = max(a.min(), b.min()), min(a.max(), b.max())
        if high <= 0 or low > high:
            raise ValueError(_apart(a, b))
        first = np.floor(10 * np.log10(max(low, 1e-3 * high)))
        bins = 10 ** (np.arange(first, np.ceil(10 * np.log10(high)) + 2) / 10)
    else:
        bins = _edges(edges)
    counts = np.minimum(np.histogram(a, bins)[0], np.histogram(b, bins)[0])
    enough = np.concatenate([[False], counts >= min_count, [False]]).astype(int)
    starts, stops = np.flatnonzero(np.diff(enough) == 1), np.flatnonzero(np.diff(enough) == -1)
    if not len(starts):
        raise ValueError(f"{_apart(a, b)} with {min_count} events of each in a bin")
    best = max(range(len(starts)), key=lambda run: counts[starts[run] : stops[run]].sum())
    return float(bins[starts[best]]), float(bins[stops[best]])


def matched_bins(
    energy: npt.ArrayLike,
    reference_energy: npt.ArrayLike,
    edges: npt.ArrayLike,
    *,
    weights: npt.ArrayLike | None = None,
    reference_weights: npt.ArrayLike | None = None,
) -> pd.DataFrame:
    """Compare two spectra bin by bin, and give the weight that makes the first like the second.

    Parameters
    ----------
    energy, reference_energy : array_like
        Energies of the sample to change and of the one to match, GeV.
    edges : array_like
        Edges of the bins, GeV, rising; the last bin holds its upper edge.
    weights : array_like, shape (n,), optional
        Weights that the events of the sample to change have already, for example those of their datasets.
    reference_weights : array_like, shape (m,), optional
        Weights of the events of the sample to match.

    Returns
    -------
    pandas.DataFrame
        A row a bin: ``energy_low``, ``energy_high``, ``n`` and ``n_reference`` (sums of weights), ``used`` (both have
        events) and ``weight``: the factor for an event of the sample, 0 where not used.

    Raises
    ------
    ValueError
        If no bin has events of both, or the input is no good.
    """
    import pandas as pd

    a, b, bins = _energies(energy, "first"), _energies(reference_energy, "second"), _edges(edges)
    own, others = (None if given is None else np.asarray(given, dtype=float) for given in (weights, reference_weights))
    n, n_reference = np.histogram(a, bins, weights=own)[0], np.histogram(b, bins, weights=others)[0]
    used = (n > 0) & (n_reference > 0)
    if not used.any():
        raise ValueError(f"{_apart(a, b)} in any of the {len(n)} bins from {bins[0]:g} to {bins[-1]:g} GeV")
    ratio = np.divide(n_reference, n, out=np.zeros(len(n)), where=used)
    weight = ratio * n[used].sum() / n_reference[used].sum()
    columns = {"energy_low": bins[:-1], "energy_high": bins[1:], "n": n, "n_reference": n_reference}
    return pd.DataFrame({**columns, "used": used, "weight": weight})


def spectrum_weights(
    energy: npt.ArrayLike,
    reference_energy: npt.ArrayLike,
    edges: npt.ArrayLike,
    *,
    weights: npt.ArrayLike | None = None,
    reference_weights: npt.ArrayLike | None = None,
) -> FloatArray:
    """Weights that give a sample the energy spectrum of another.

    Events outside the edges, and in bins where one of the two has no event, get weight 0; how many is logged. Apply
    `common_window` to the reference too, so that both end at the same energies.

    Parameters
    ----------
    energy, reference_energy, edges, weights, reference_weights
        As in `matched_bins`.

    Returns
    -------
    array, shape (n,)
        Weights of ``energy``, those given included; their mean over the events used is 1.

    Raises
    ------
    ValueError
        As in `matched_bins`.
    """
    bins = _edges(edges)
    table = matched_bins(energy, reference_energy, bins, weights=weights, reference_weights=reference_weights)
    a, b = _energies(energy, "first"), _energies(reference_energy, "second")
    factors = np.append(table["weight"], 0.0)[_bin_numbers(a, bins)]
    result = factors if weights is None else factors * np.asarray(weights, dtype=float)
    not_used = np.count_nonzero(~np.append(table["used"], False)[_bin_numbers(b, bins)])
    if (excluded := np.count_nonzero(factors == 0)) or not_used:
        logger.warning(
            "spectrum matching excludes %d of %d events, and %d of %d of the reference have no counterpart",
            *(excluded, len(a), not_used, len(b)),
        )
    return result / result[factors > 0].mean()


def spectrum_thinning(
    energy: npt.ArrayLike,
    reference_energy: npt.ArrayLike,
    edges: npt.ArrayLike,
    rng: np.random.Generator | int,
) -> npt.NDArray[np.bool_]:
    """Events of a sample to keep at random, so that they have the energy spectrum of another.

    Each event is kept independently with the probability ``weight / highest weight``: what is left is an unweighted
    sample, for which binomial intervals are exact. Bins in which the sample is rare beside the reference set the
    highest weight: keep to the common window.

    Parameters
    ----------
    energy, reference_energy, edges
        As in `matched_bins`.
    rng : numpy.random.Generator or int
        Source of randomness, or a seed.

    Returns
    -------
    array of bool, shape (n,)

    Raises
    ------
    ValueError
        As in `matched_bins`.
    """
    weights = spectrum_weights(energy, reference_energy, edges)
    return np.random.default_rng(rng).random(len(weights)) < weights / weights.max()


def _bin_numbers(energy: FloatArray, bins: FloatArray) -> npt.NDArray[np.intp]:
    """Bin of each energy; the number of bins for one outside."""
    number = np.searchsorted(bins, energy, side="right") - 1
    number[energy == bins[-1]] = len(bins) - 2
    return np.where((number < 0) | (number > len(bins) - 2), len(bins) - 1, number)


def _energies(values: npt.ArrayLike, which: str) -> FloatArray:
    energy = np.asarray(values, dtype=float)
    if energy.ndim != 1 or not len(energy):
        raise ValueError(f"energies of the {which} sample have shape {energy.shape}; expected one an event, not none")
    if n_bad := np.count_nonzero(~np.isfinite(energy)):
        raise ValueError(f"{n_bad} of {len(energy)} energies of the {which} sample are not finite; expected GeV")
    return energy


def _edges(edges: npt.ArrayLike) -> FloatArray:
    bins = np.asarray(edges, dtype=float)
    if bins.ndim != 1 or len(bins) < 2 or not (np.diff(bins) > 0).all():
        raise ValueError(f"edges of the bins are {bins.tolist()}; expected two or more rising energies in GeV")
    return bins


def _apart(a: FloatArray, b: FloatArray) -> str:
    return (
        f"two samples from {a.min():.4g} to {a.max():.4g} GeV and from {b.min():.4g} to {b.max():.4g} GeV "
        "have no common energy window"
    )
