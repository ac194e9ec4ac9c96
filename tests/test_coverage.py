"""Coverage of every kind of interval in the package, by toys whose truth is known.

Intervals by Clopper and Pearson, and all made from them, cover at least what they say; the others cover it within 2 %
(in absolute terms) where ten events or more are expected. The fast version sees that within the error of few toys; the
slow one has enough toys for 2 %. The table of docs/statistics.md is made by ``python tests/test_coverage.py``.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pytest
from scipy.stats import norm

from ecalnb import metrics
from ecalnb.intervals import clopper_pearson
from ecalnb.nuclei.evaluation import log_loss
from ecalnb.nuclei.selections import efficiency_and_purity
from ecalnb.report import Report
from ecalnb.validation import estimates

ONE_SIGMA = 0.6827
TOYS, FAST_TOYS = 5000, 40


class Interval(NamedTuple):
    """What a toy gives: the ends of an interval, and the truth."""

    low: float
    truth: float
    high: float


class Case(NamedTuple):
    """An interval under test."""

    toy: Callable[[np.random.Generator], Interval]
    nominal: float
    at_least: bool = False


def around(value: float, error: float, truth: float) -> Interval:
    return Interval(value - error, truth, value + error)


def fraction(rng: np.random.Generator) -> Interval:
    low, high = clopper_pearson(rng.binomial(200, 0.1), 200)
    return Interval(float(low), 0.1, float(high))


def rejection(rng: np.random.Generator) -> Interval:
    # 9 protons pass on average.
    row = metrics.rejection_curve(rng.normal(3, 1, 500), rng.normal(0, 1, 2000), [0.8]).iloc[0]
    return Interval(row["low_total"], 1 / norm.sf(3 + norm.isf(0.8)), row["high_total"])


def rejection_at_threshold(rng: np.random.Generator) -> Interval:
    row = metrics.rejection_curve(rng.normal(3, 1, 500), rng.normal(0, 1, 2000), [0.8]).iloc[0]
    return Interval(row["low"], 1 / norm.sf(row["threshold"]), row["high"])


def weighted_rejection(rng: np.random.Generator) -> Interval:
    weights = rng.uniform(0.2, 3, 500), rng.uniform(0.2, 3, 4000)
    scores = rng.normal(3, 1, 500), rng.normal(0, 1, 4000)
    row = metrics.rejection_curve(*scores, [0.8], weights=weights).iloc[0]
    return Interval(row["low_total"], 1 / norm.sf(3 + norm.isf(0.8)), row["high_total"])


def rejection_in_bin(rng: np.random.Generator) -> Interval:
    scores, energies = (
        (rng.normal(3, 1, 600), rng.normal(0, 1, 4000)),
        (rng.uniform(0, 2, 600), rng.uniform(0, 2, 4000)),
    )
    table = metrics.rejection_in_bins(scores[0], energies[0], scores[1], energies[1], [0, 1, 2], 0.8)
    row = table.iloc[1]
    return Interval(row["low_total"], 1 / norm.sf(3 + norm.isf(0.8)), row["high_total"])


def paired_scores(rng: np.random.Generator, n: int, shifts: tuple[float, float]) -> dict[str, np.ndarray]:
    common = rng.normal(size=n)
    return {
        name: 0.7 * common + np.sqrt(0.51) * rng.normal(size=n) + shift
        for name, shift in zip("ab", shifts, strict=True)
    }


def rejection_factor(rng: np.random.Generator) -> Interval:
    signal, background = paired_scores(rng, 500, (2.6, 2.2)), paired_scores(rng, 2000, (0.0, 0.0))
    row = metrics.rejection_factors(signal, background, "a", 0.8, n_replicas=150, seed=int(rng.integers(2**31))).iloc[0]
    return Interval(row["low"], norm.sf(2.2 + norm.isf(0.8)) / norm.sf(2.6 + norm.isf(0.8)), row["high"])


def area(rng: np.random.Generator) -> Interval:
    value = metrics.roc_auc(rng.normal(1.5, 1, 150), rng.normal(0, 1, 250))
    return Interval(value.low, norm.cdf(1.5 / np.sqrt(2)), value.high)


def weighted_area(rng: np.random.Generator) -> Interval:
    weights = rng.uniform(0.2, 3, 300), rng.uniform(0.2, 3, 500)
    value = metrics.roc_auc(rng.normal(1.5, 1, 300), rng.normal(0, 1, 500), weights=weights)
    return Interval(value.low, norm.cdf(1.5 / np.sqrt(2)), value.high)


def core_sigma(rng: np.random.Generator) -> Interval:
    core = metrics.gaussian_core(rng.normal(0, 1, 1000))
    return around(core.sigma, core.sigma_error, 1.0)


def core_mean(rng: np.random.Generator) -> Interval:
    core = metrics.gaussian_core(rng.normal(0, 1, 1000))
    return around(core.mean, core.mean_error, 0.0)


def weighted_core_sigma(rng: np.random.Generator) -> Interval:
    core = metrics.gaussian_core(rng.normal(0, 1, 1000), rng.uniform(0.2, 3, 1000))
    return around(core.sigma, core.sigma_error, 1.0)


def central_width(rng: np.random.Generator) -> Interval:
    width = metrics.quantile_resolution(rng.normal(0, 1, 400), seed=rng)
    return around(width.half_width, width.error, 1.0)


def contained(rng: np.random.Generator) -> Interval:
    residuals = rng.normal(0, 1, 400)
    row = metrics.residuals_in_bins(np.ones(400), residuals, [0, 2], width="containment", seed=rng).iloc[0]
    return around(row["resolution"], row["resolution_error"], float(norm.ppf(0.84)))


def paired_ratio(rng: np.random.Generator) -> Interval:
    common, own = rng.normal(0, 1, (2, 400))
    residuals = {"a": common, "b": 0.8 * (0.8 * common + 0.6 * own)}
    table = metrics.resolution_ratios(np.ones(400), residuals, "a", [0, 2], n_bootstrap=100, seed=rng)
    row = table[table["name"] == "b"].iloc[0]
    return around(row["ratio"], row["ratio_error"], 0.8)


def independent_ratio(rng: np.random.Generator) -> Interval:
    tables = [metrics.residuals_in_bins(np.ones(800), rng.normal(0, s, 800), [0, 2]) for s in (0.8, 1.0)]
    row = metrics.independent_ratios(*tables).iloc[0]
    return around(row["ratio"], row["ratio_error"], 0.8)


ENERGIES = np.array([5.0, 10, 20, 40, 80, 160])


def resolution_term(term: str, truth: float) -> Callable[[np.random.Generator], Interval]:
    def toy(rng: np.random.Generator) -> Interval:
        true = np.hypot(0.1 / np.sqrt(ENERGIES), 0.015)
        sigma = true * np.sqrt(rng.chisquare(599, len(true)) / 599)  # the standard deviations of 600 events
        fit = metrics.fit_energy_resolution(ENERGIES, sigma, sigma / np.sqrt(2 * 599))
        return around(getattr(fit, term), fit.errors[term], truth)

    return toy


def template_fraction(rng: np.random.Generator) -> Interval:
    def draw(signal: int, background: int) -> np.ndarray:
        return np.concatenate([rng.normal(0.5, 0.12, signal), rng.normal(1.0, 0.15, background)])

    data = draw(rng.poisson(300), rng.poisson(100))
    fit = metrics.fit_templates(data, draw(2000, 0), draw(0, 2000), np.linspace(0, 2, 41))
    return Interval(fit.low, 0.25, fit.high)


def template_purity(rng: np.random.Generator) -> Interval:
    def draw(signal: int, background: int) -> np.ndarray:
        return np.concatenate([rng.normal(0.5, 0.12, signal), rng.normal(1.0, 0.15, background)])

    data = draw(rng.poisson(300), rng.poisson(300))
    fit = metrics.fit_templates(data, draw(2000, 0), draw(0, 2000), np.linspace(0, 2, 41))
    _, low, high = fit.purity(below=0.8)
    signal, background = norm.cdf(0.3 / 0.12), norm.cdf(-0.2 / 0.15)
    return Interval(low, signal / (signal + background), high)


def median_of_scores(rng: np.random.Generator) -> Interval:
    row = metrics.score_profile(rng.normal(0, 1, 101), np.ones(101), [0, 2]).iloc[0]
    return Interval(row["median_low"], 0.0, row["median_high"])


def reliability(rng: np.random.Generator) -> Interval:
    # The logarithm of the ratio of these two densities at x is x: the score is calibrated.
    row = metrics.reliability(rng.normal(2, 2, 500), rng.normal(-2, 2, 500), [0, 0.2, 0.3, 1]).iloc[1]
    return Interval(row["low"], row["predicted"], row["high"])


def temperature(rng: np.random.Generator) -> Interval:
    found = metrics.fit_temperature(2.5 * rng.normal(2, 2, 1000), 2.5 * rng.normal(-2, 2, 1000))
    return around(found.value, found.error, 2.5)


def spread_of_efficiency(rng: np.random.Generator) -> Interval:
    energy = rng.uniform(0, 4, 1200)
    true = np.std([0.75, 0.85, 0.92, 0.98], ddof=1)
    shift = norm.ppf([0.75, 0.85, 0.92, 0.98])[energy.astype(int)]
    found = metrics.efficiency_spread(
        rng.normal(shift, 1), energy, np.arange(5), 0.875, n_replicas=60, seed=int(rng.integers(2**31))
    )
    return Interval(found.low, float(true), found.high)


def purity_of_nuclei(rng: np.random.Generator) -> Interval:
    # Natural weights: the signal is rare and light; 0.9 of it pass, and 0.05 of the others.
    signal = rng.random(3000) < 0.5
    weights = np.where(signal, 0.2, 1.0) * rng.uniform(0.5, 1.5, 3000)
    selected = rng.random(3000) < np.where(signal, 0.9, 0.05)
    row = efficiency_and_purity(selected, signal, weights).iloc[0]
    return Interval(row["purity_low"], 0.18 / (0.18 + 0.05), row["purity_high"])


def loss_of_nuclei(rng: np.random.Generator) -> Interval:
    p = rng.uniform(0.01, 1, 500)
    value = log_loss(np.column_stack([p, 1 - p]), np.zeros(500, dtype=int), rng.uniform(0.5, 1.5, 500))
    truth = 1 + 0.01 * np.log(0.01) / 0.99
    return around(value[0], value[1], truth)


def mean_of_report(rng: np.random.Generator) -> Interval:
    number = Report("01_toy", ".").mean("x", rng.exponential(1, 100))
    return Interval(number["low"], 1.0, number["high"])


def median_of_report(rng: np.random.Generator) -> Interval:
    number = Report("01_toy", ".").median("x", rng.exponential(1, 101))
    return Interval(number["low"], np.log(2), number["high"])


def quantile_of_validation(rng: np.random.Generator) -> Interval:
    return around(*estimates.quantile(rng.exponential(1, 400), 0.84), float(-np.log(0.16)))


CASES = {
    "fraction, Clopper-Pearson": Case(fraction, 0.68, at_least=True),
    "rejection, with its threshold": Case(rejection, 0.68, at_least=True),
    "rejection at a given threshold": Case(rejection_at_threshold, 0.68, at_least=True),
    "rejection, weighted": Case(weighted_rejection, 0.68, at_least=True),
    "rejection in a bin of energy": Case(rejection_in_bin, 0.68, at_least=True),
    "rejection over that of another model": Case(rejection_factor, 0.68, at_least=True),
    "area under the ROC curve": Case(area, 0.68),
    "area under the ROC curve, weighted": Case(weighted_area, 0.68),
    "sigma of a Gaussian core": Case(core_sigma, ONE_SIGMA),
    "sigma of a Gaussian core, weighted": Case(weighted_core_sigma, ONE_SIGMA),
    "mean of a Gaussian core": Case(core_mean, ONE_SIGMA),
    "half of the central 68 %": Case(central_width, ONE_SIGMA),
    "68 % containment of residuals": Case(contained, ONE_SIGMA),
    "ratio of resolutions, same events": Case(paired_ratio, ONE_SIGMA),
    "ratio of resolutions, other events": Case(independent_ratio, ONE_SIGMA),
    "energy resolution: stochastic term": Case(resolution_term("stochastic", 0.1), ONE_SIGMA),
    "energy resolution: constant term": Case(resolution_term("constant", 0.015), ONE_SIGMA),
    "background share of a template fit": Case(template_fraction, ONE_SIGMA),
    "purity below a cut by templates": Case(template_purity, 0.68, at_least=True),
    "median of scores": Case(median_of_scores, 0.68),
    "reliability in a bin": Case(reliability, 0.68, at_least=True),
    "temperature": Case(temperature, ONE_SIGMA),
    "spread of the efficiency over energy": Case(spread_of_efficiency, 0.68),
    "purity of nuclei, weighted": Case(purity_of_nuclei, 0.68, at_least=True),
    "log-loss of nuclei, weighted": Case(loss_of_nuclei, ONE_SIGMA),
    "mean in a report": Case(mean_of_report, ONE_SIGMA),
    "median in a report": Case(median_of_report, 0.68),
    "quantile in the validation": Case(quantile_of_validation, 0.68),
}


def coverage(name: str, toys: int) -> float:
    """Share of toys whose interval holds the truth."""
    rng = np.random.default_rng(sum(name.encode()))
    return float(np.mean([low <= truth <= high for low, truth, high in (CASES[name].toy(rng) for _ in range(toys))]))


def check(name: str, toys: int, slack: float) -> None:
    case, found = CASES[name], coverage(name, toys)
    assert found >= case.nominal - slack
    assert case.at_least or found <= case.nominal + slack


@pytest.mark.parametrize("name", CASES)
def test_interval_covers(name):
    check(name, FAST_TOYS, 0.02 + 3.5 * np.sqrt(0.68 * 0.32 / FAST_TOYS))


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_interval_covers_within_two_percent(name):
    # Beside the toys' own error, nothing for at-least intervals, and 2 % for the others.
    check(name, TOYS, 2 * np.sqrt(0.68 * 0.32 / TOYS) + (0 if CASES[name].at_least else 0.02))


if __name__ == "__main__":
    for name, case in CASES.items():
        bound = "at least " if case.at_least else ""
        print(f"| {name} | {bound}{case.nominal:g} | {coverage(name, TOYS):.3f} |", flush=True)  # noqa: T201
