"""How wide a distribution is: the Gaussian core, and quantiles.

Gaussian core
    The normal distribution of the events within a window of +-k sigma about the mean, where mean and sigma are those
    of the fit itself: the window is moved until it no longer changes. The likelihood is that of a normal distribution
    cut off at the edges of the window, so that sigma is not biased by the cut (the plain standard deviation of the
    events within +-2 sigma is 12 % too small). What lies outside, such as a tail from leakage, does not count: the
    number of events inside stands beside the result.
Quantile resolution
    Half of the width of the interval that holds 68.27 % of the events: sigma for a normal distribution, and defined for
    any other. The interval is the central one, with as many events on either side.
Weights
    An event of weight w counts like w events. The errors are those of the events there are: of the core by the
    "sandwich" of C. Langenbruch (Eur. Phys. J. C 82 (2022) 393, eq. 18), of quantiles by a bootstrap of the events.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from iminuit import Minuit
from scipy.special import ndtr
from scipy.stats import chi2 as chi2_distribution

from ..intervals import FloatArray, check_level
from ._weighted import quantiles_of_sorted
from .scores import check_numbers, check_weights

__all__ = ["FEWEST_FOR_CORE", "ONE_SIGMA", "GaussianCore", "QuantileResolution", "gaussian_core", "quantile_resolution"]

ONE_SIGMA = 0.6826894921370859
"""Probability of a normal distribution within one standard deviation."""

FEWEST_FOR_CORE = 20
"""Events that a window must hold for the fit of a Gaussian core to mean anything."""

# Most moves of the window in the fit of a core.
_MOST_MOVES = 50


@dataclass(frozen=True)
class GaussianCore:
    """Result of `gaussian_core`.

    Parameters
    ----------
    mean, sigma : float
        Of the normal distribution, in the units of the values.
    mean_error, sigma_error : float
        Standard errors from the curvature of the likelihood.
    low, high : float
        The window.
    n, n_window : int
        Events in all, and inside the window.
    chi2 : float
        Of the events in bins of equal expected content inside the window.
    ndf : int
        Bins minus three: for their sum, the mean and sigma.
    fraction : float
        Share of the events inside the window, by weight.
    """

    mean: float
    mean_error: float
    sigma: float
    sigma_error: float
    low: float
    high: float
    n: int
    n_window: int
    chi2: float
    ndf: int
    fraction: float

    @property
    def p_value(self) -> float:
        """Probability of a chi2 at least as large: small where the core is not Gaussian.

        A little too large, because the fit is to the unbinned events (Chernoff and Lehmann, Annals of Mathematical
        Statistics 25 (1954) 579): a small value can be trusted.
        """
        return float(chi2_distribution.sf(self.chi2, self.ndf))


def gaussian_core(
    values: npt.ArrayLike,
    weights: npt.ArrayLike | None = None,
    *,
    n_sigma: float = 2.0,
) -> GaussianCore:
    """Fit a normal distribution to the core of a sample, by unbinned likelihood.

    Parameters
    ----------
    values : array_like, shape (n,)
        For example reconstructed over true energy.
    weights : array_like, shape (n,), optional
        Weights of the events.
    n_sigma : float
        Half-width of the window in sigma. Narrower than 1 it can hardly tell a normal distribution from a flat one.

    Returns
    -------
    GaussianCore

    Raises
    ------
    ValueError
        If there are fewer than 20 events, they are not finite or all the same, or they have no core: the window loses
        its events or does not come to rest; or weights do not go with the values.
    """
    sample = check_numbers(values, "values of the distribution").astype(float)
    own = np.ones(len(sample)) if weights is None else check_weights(weights, "events", len(sample))
    if not 0.5 <= n_sigma <= 10:
        raise ValueError(f"n_sigma is {n_sigma!r}; expected a half-width of the window of 0.5 to 10 sigma")
    if len(sample) < FEWEST_FOR_CORE or not np.isfinite(sample).all():
        raise ValueError(
            f"the distribution has {len(sample)} events, {np.count_nonzero(~np.isfinite(sample))} of them infinite; "
            f"expected at least {FEWEST_FOR_CORE} finite ones for the fit of a Gaussian core"
        )
    order = np.argsort(sample)
    sample, own = sample[order], own[order] / own.mean()
    low, mean, high = quantiles_of_sorted(sample, own, [(1 - ONE_SIGMA) / 2, 0.5, (1 + ONE_SIGMA) / 2]).tolist()
    sigma = (high - low) / 2
    if sigma <= 0:
        raise ValueError(f"most of the {len(sample)} events have the same value {mean:g}; expected a distribution")
    for _ in range(_MOST_MOVES):
        low, high = mean - n_sigma * sigma, mean + n_sigma * sigma
        first, last = np.searchsorted(sample, [low, high])
        window, its_weights = sample[first:last], own[first:last]
        if len(window) < FEWEST_FOR_CORE:
            raise ValueError(f"only {len(window)} events are within {low:.4g} to {high:.4g}; the sample has no core")
        before = mean, sigma
        mean, mean_error, sigma, sigma_error = _fit_truncated_normal(window, its_weights, low, high, mean, sigma)
        # A window that still moves by less than a hundredth of the errors has come to rest for every purpose.
        if abs(mean - before[0]) < 0.01 * mean_error and abs(sigma - before[1]) < 0.01 * sigma_error:
            chi2, ndf = _chi2(window, its_weights, low, high, mean, sigma)
            inside = float(its_weights.sum() / own.sum())
            counts = len(sample), len(window)
            return GaussianCore(
                mean, mean_error, sigma, sigma_error, float(low), float(high), *counts, chi2, ndf, inside
            )
        # Half of the way, so that the window does not go to and fro between two places.
        mean, sigma = (mean + before[0]) / 2, (sigma + before[1]) / 2
    raise ValueError(
        f"the window of +-{n_sigma:g} sigma does not come to rest in {_MOST_MOVES} steps; the {len(sample)} events "
        "have no Gaussian core"
    )


def _fit_truncated_normal(
    window: FloatArray, weights: FloatArray, low: float, high: float, mean: float, sigma: float
) -> tuple[float, float, float, float]:
    """Mean, its error, sigma and its error of a normal distribution of which only the window is seen."""
    scaled = (window - mean) / sigma
    edges = np.array([low - mean, high - mean]) / sigma

    def log_density(x: FloatArray, location: float, scale: float) -> FloatArray:
        below, above = ndtr((edges - location) / scale)
        return -0.5 * ((x - location) / scale) ** 2 - np.log(scale * np.sqrt(2 * np.pi) * (above - below))

    def loss(location: float, scale: float) -> float:
        return -2 * float((weights * log_density(scaled, location, scale)).sum())

    minuit = Minuit(loss, location=0.0, scale=1.0)
    minuit.errordef = Minuit.LEAST_SQUARES
    minuit.limits = [(edges[0], edges[1]), (0.05, 5.0)]
    minuit.strategy = 1
    minuit.migrad()
    minuit.hesse()
    location, scale = minuit.values
    if not minuit.valid or not minuit.accurate or scale > 4.5:
        raise ValueError(
            f"the {len(window)} events within {low:.4g} to {high:.4g} have no maximum that a normal distribution fits"
        )
    location_error, scale_error = minuit.errors
    if np.ptp(weights):  # otherwise the curvature is the inverse of the variance
        step = 1e-4
        slopes = np.stack(
            [
                (log_density(scaled, *above) - log_density(scaled, *below)) / (2 * step)
                for above, below in (
                    ((location + step, scale), (location - step, scale)),
                    ((location, scale + step), (location, scale - step)),
                )
            ]
        )
        inverse = np.array(minuit.covariance)
        location_error, scale_error = np.sqrt(np.diag(inverse @ ((weights**2 * slopes) @ slopes.T) @ inverse))
    return (
        float(mean + location * sigma),
        float(location_error * sigma),
        float(scale * sigma),
        float(scale_error * sigma),
    )


def _chi2(
    window: FloatArray, weights: FloatArray, low: float, high: float, mean: float, sigma: float
) -> tuple[float, int]:
    """Pearson's chi2 in bins of equal expected content, at least ten events each, and its degrees of freedom."""
    effective = weights.sum() ** 2 / (weights**2).sum()
    bins = int(np.clip(effective // 10, 4, 40))
    below, above = ndtr((np.array([low, high]) - mean) / sigma)
    uniform = (ndtr((window - mean) / sigma) - below) / (above - below)
    observed = np.histogram(uniform, bins=bins, range=(0, 1), weights=weights)[0] * effective / weights.sum()
    expected = effective / bins
    return float(((observed - expected) ** 2 / expected).sum()), bins - 3


@dataclass(frozen=True)
class QuantileResolution:
    """Result of `quantile_resolution`.

    Parameters
    ----------
    half_width, error : float
        Half of the width of the interval, and its bootstrap error.
    median, median_error : float
        Median of all events, and its bootstrap error.
    low, high : float
        The interval.
    n : int
        Events.
    """

    half_width: float
    error: float
    median: float
    median_error: float
    low: float
    high: float
    n: int


def quantile_resolution(
    values: npt.ArrayLike,
    weights: npt.ArrayLike | None = None,
    *,
    level: float = ONE_SIGMA,
    n_bootstrap: int = 200,
    seed: int | np.random.Generator = 0,
) -> QuantileResolution:
    """Half of the width of the interval that holds a given fraction of a sample.

    Parameters
    ----------
    values : array_like, shape (n,)
        For example reconstructed over true energy. Infinite values count as events, outside every interval.
    weights : array_like, shape (n,), optional
        Weights of the events.
    level : float
        Fraction of the events inside; 68.27 % unless told.
    n_bootstrap : int
        Samples drawn for the errors.
    seed : int or numpy.random.Generator
        Of those samples.

    Returns
    -------
    QuantileResolution

    Raises
    ------
    ValueError
        If there are fewer than 10 events, or an argument is not one of those above.
    """
    sample = check_numbers(values, "values of the distribution").astype(float)
    own = None if weights is None else check_weights(weights, "events", len(sample))
    order = np.argsort(sample)
    sample, own = sample[order], None if own is None else own[order]
    check_level(level)
    if len(sample) < 10:
        raise ValueError(f"the distribution has {len(sample)} events; expected at least 10 for a quantile resolution")
    if n_bootstrap < 20:
        raise ValueError(f"n_bootstrap is {n_bootstrap!r}; expected at least 20 samples for an error")
    generator = np.random.default_rng(seed)
    if own is not None:
        return _weighted_resolution(sample, own, level, n_bootstrap, generator)
    ends = [(1 - level) / 2, (1 + level) / 2]
    width, middle = [], []
    # Bounded memory: about four million numbers at a time.
    step = max(1, min(n_bootstrap, 4_000_000 // len(sample)))
    for start in range(0, n_bootstrap, step):
        shape = min(step, n_bootstrap - start), len(sample)
        # Sorted positions are sorted values, and integers sort faster.
        drawn = sample[np.sort(generator.integers(0, len(sample), shape), axis=1)]
        low, median, high = np.quantile(drawn, [ends[0], 0.5, ends[1]], axis=1)
        width.append((high - low) / 2)
        middle.append(median)
    low, high = np.quantile(sample, ends)
    return QuantileResolution(
        half_width=float(high - low) / 2,
        error=float(np.std(np.concatenate(width), ddof=1)),
        median=float(np.median(sample)),
        median_error=float(np.std(np.concatenate(middle), ddof=1)),
        low=float(low),
        high=float(high),
        n=len(sample),
    )


def _weighted_resolution(
    sample: FloatArray,
    weights: FloatArray,
    level: float,
    n_bootstrap: int,
    generator: np.random.Generator,
) -> QuantileResolution:
    """Half of the width of the interval of sorted events with weights."""
    n = len(sample)

    def measure(w: FloatArray) -> tuple[float, float, float]:
        low, median, high = quantiles_of_sorted(sample, w, [(1 - level) / 2, 0.5, (1 + level) / 2])
        return float(low), float(high), float(median)

    drawn = [measure(weights * np.bincount(generator.integers(0, n, n), minlength=n)) for _ in range(n_bootstrap)]
    lows, highs, medians = np.array(drawn).T
    low, high, median = measure(weights)
    error, median_error = float(np.std(highs - lows, ddof=1)) / 2, float(np.std(medians, ddof=1))
    return QuantileResolution((high - low) / 2, error, median, median_error, low, high, n)
