"""Every metric with weights against unweighted events drawn from the spectrum that the weights make.

A toy has scores and energies of either species whose relation changes with the energy, so that a metric depends on the
spectrum. One sample is generated flat in the energy and weighted to a falling spectrum; another is generated falling.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import astuple

import numpy as np
import pandas as pd
import pytest

from ecalnb import metrics
from ecalnb.metrics import (
    calibration_error,
    efficiency_spread,
    energy_correlation,
    ensemble_gain,
    fit_temperature,
    fit_templates,
    gaussian_core,
    quantile_resolution,
    rejection_against_events,
    rejection_curve,
    rejection_factors,
    rejection_in_bins,
    reliability,
    residuals_in_bins,
    resolution_in_bins,
    resolution_ratios,
    roc_auc,
    score_profile,
)

LOW, HIGH, SLOPE = 1.0, 10.0, -1.5
EDGES = [1, 2, 4, 10.0]
Sample = tuple[np.ndarray, np.ndarray, np.ndarray]


def energies(rng: np.random.Generator, n: int, *, falling: bool) -> np.ndarray:
    if not falling:
        return rng.uniform(LOW, HIGH, n)
    power = SLOPE + 1
    return (rng.uniform(size=n) * (HIGH**power - LOW**power) + LOW**power) ** (1 / power)


def species(rng: np.random.Generator, n: int, *, falling: bool, electron: bool) -> Sample:
    """Scores, energies and weights."""
    energy = energies(rng, n, falling=falling)
    shift = 1.2 + 0.35 * energy if electron else -0.5 + 0.1 * energy
    return rng.normal(shift, 1), energy, np.ones(n) if falling else energy**SLOPE


def both(seed: int, n: int, *, falling: bool) -> tuple[Sample, Sample]:
    rng = np.random.default_rng(seed)
    return species(rng, n, falling=falling, electron=True), species(rng, n, falling=falling, electron=False)


def area(e: Sample, p: Sample) -> list[float]:
    return [roc_auc(e[0], p[0], weights=(e[2], p[2])).value]


def rejections(e: Sample, p: Sample) -> list[float]:
    curve = rejection_curve(e[0], p[0], [0.6, 0.9], weights=(e[2], p[2]))
    return [*np.log(curve["rejection"]), *curve["threshold"]]


def binned_rejections(e: Sample, p: Sample) -> list[float]:
    tables = (
        rejection_in_bins(*e[:2], *p[:2], EDGES, [0.9, 0.98], threshold=kind, weights=(e[2], p[2]))
        for kind in ("per_bin", "global")
    )
    return [v for table in tables for v in (*np.log(table["rejection"]), *table["efficiency_achieved"])]


def factors(e: Sample, p: Sample) -> list[float]:
    # The second model sees less of the same events.
    rng = np.random.default_rng(len(e[0]))
    models = [{"a": s[0], "b": s[0] + rng.normal(0, 0.7, len(s[0]))} for s in (e, p)]
    table = rejection_factors(*models, "a", 0.8, weights=(e[2], p[2]), n_replicas=100)
    return np.log(table["factor"]).tolist()


def trainings(e: Sample, p: Sample) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Scores of three trainings, which see the same events with noise of their own."""
    rng = np.random.default_rng(len(e[0]))
    signal, background = ({n: s[0] + rng.normal(0, 0.7, len(s[0])) for n in "abc"} for s in (e, p))
    return signal, background


def ensemble(e: Sample, p: Sample) -> list[float]:
    gain = ensemble_gain(*trainings(e, p), ["a", "b", "c"], 0.9, weights=(e[2], p[2]), n_replicas=100)
    return [np.log(gain.factor), np.log(gain.passed_members / p[2].sum())]


def against_events(e: Sample, p: Sample) -> list[float]:
    runs = pd.DataFrame({"run": list("abc"), "model": "toy", "events": 1000, "seed": [1, 2, 3]})
    study = rejection_against_events(runs, *trainings(e, p), 0.9, weights=(e[2], p[2]), n_replicas=100)
    return np.log(study.points["rejection"]).tolist()


def profile(e: Sample, p: Sample) -> list[float]:  # noqa: ARG001
    table = score_profile(*e[:2], [1, 5, 10], weights=e[2])
    return table[["median", 0.16, 0.84]].to_numpy().ravel().tolist()


def correlation(e: Sample, p: Sample) -> list[float]:  # noqa: ARG001
    return [energy_correlation(*e[:2], e[2], n_replicas=0).squared]


def spread(e: Sample, p: Sample) -> list[float]:  # noqa: ARG001
    found = efficiency_spread(*e[:2], EDGES, 0.8, weights=e[2], n_replicas=20)
    return [found.spread, found.lowest, found.highest]


def core(e: Sample, p: Sample) -> list[float]:  # noqa: ARG001
    found = gaussian_core(e[0], e[2], n_sigma=1.5)
    return [found.mean, found.sigma, found.fraction]


def quantiles(e: Sample, p: Sample) -> list[float]:  # noqa: ARG001
    found = quantile_resolution(e[0], e[2], n_bootstrap=20)
    return [found.half_width, found.median]


def resolutions(e: Sample, p: Sample) -> list[float]:  # noqa: ARG001
    estimate = e[1] * (1 + (e[0] - 1.2 - 0.35 * e[1]) * (0.05 + 0.02 * e[1]))
    tables = (resolution_in_bins(e[1], estimate, [1, 5, 10], weights=e[2], kind=kind) for kind in ("core", "central"))
    return [v for table in tables for v in (*table["resolution"], *table["bias"], *table["energy"] / 10)]


def residuals(e: Sample, p: Sample) -> list[float]:  # noqa: ARG001
    off, options = e[0] - 1.2 - 0.35 * e[1], {"weights": e[2], "n_bootstrap": 2}
    tables = (residuals_in_bins(e[1], off, [1, 5, 10], width=width, **options) for width in ("core", "containment"))
    other = {"one": off * (0.5 + 0.1 * e[1]), "all": off}
    ratios = resolution_ratios(e[1], other, "all", [1, 10], **options)
    return [*(v for table in tables for v in (*table["resolution"], *table["mean"] / 10)), *ratios["ratio"]]


def shares(e: Sample, p: Sample) -> list[float]:
    rng = np.random.default_rng(len(e[0]))
    signal, background = rng.random(len(e[0])) < 0.5, rng.random(len(p[0])) < 0.5
    # Half of the events are the templates and half of them the data.
    data = np.concatenate([e[0][~signal], p[0][~background]])
    own = np.concatenate([e[2][~signal], 0.5 * p[2][~background]])
    weights = own, e[2][signal], p[2][background]
    edges = np.linspace(-4, 8, 31)
    fit = fit_templates(data, e[0][signal], p[0][background], edges, weights=weights)
    return [fit.background_fraction, fit.purity()[0], fit.purity(below=edges[12])[0]]


def calibration(e: Sample, p: Sample) -> list[float]:
    scores = e[0], p[0]
    weights = e[2], p[2]
    table = reliability(*scores, [0, 0.5, 0.8, 1.0], weights=weights)
    temperature = fit_temperature(*scores, weights=weights).value
    return [*table["observed"], temperature, calibration_error(*scores, weights=weights, n_replicas=100).value]


METRICS: list[Callable[[Sample, Sample], list[float]]] = [
    area, rejections, binned_rejections, factors, ensemble, against_events, profile, correlation, spread, core,
    quantiles, resolutions, residuals, shares,
    calibration,
]  # fmt: skip


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.__name__)
def test_weighted_events_are_events_of_that_spectrum(metric: Callable[[Sample, Sample], list[float]]) -> None:
    toys = 12
    weighted, drawn, unweighted = (
        np.array([metric(*make(seed)) for seed in range(toys)])
        for make in (
            lambda seed: both(seed, 4000, falling=False),
            lambda seed: both(100 + seed, 4000, falling=True),
            lambda seed: tuple((*s[:2], np.ones(len(s[0]))) for s in both(seed, 4000, falling=False)),
        )
    )
    error = np.sqrt((weighted.var(axis=0, ddof=1) + drawn.var(axis=0, ddof=1)) / toys)
    difference = weighted.mean(axis=0) - drawn.mean(axis=0)
    assert abs(difference) == pytest.approx(0, abs=5 * error.max() + 1e-12)
    assert (abs(difference) < 5 * error + 1e-9).all(), difference / error
    # Without the weights one would see another spectrum, so this test can fail.
    assert (abs(unweighted.mean(axis=0) - drawn.mean(axis=0)) > 5 * error).any()


def test_no_metric_is_forgotten() -> None:
    # Bins, counts and directions are not events, and tables of a MatchedSample, or of scores, take their weights.
    others = {"clopper_pearson", "effective_counts", "fit_energy_resolution", "merge_bins", "space_angles"}
    others |= {"independent_ratios", "without_reference"}
    others |= {"efficiency_against_energy", "energy_dependence", "rejection_by_method", "rejection_table"}
    public = {name: getattr(metrics, name) for name in metrics.__all__}
    functions = {name: value for name, value in public.items() if inspect.isfunction(value)}
    assert {name for name, value in functions.items() if "weights" not in inspect.signature(value).parameters} == others


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.__name__)
def test_equal_weights_change_nothing(metric: Callable[[Sample, Sample], list[float]]) -> None:
    electrons, protons = both(1, 1500, falling=True)
    seven = [(*sample[:2], 7 * sample[2]) for sample in (electrons, protons)]
    assert metric(*seven) == pytest.approx(metric(electrons, protons), rel=1e-6, abs=1e-9)


@pytest.mark.parametrize(
    ("function", "arguments"),
    [
        (gaussian_core, ()),
        (quantile_resolution, ()),
        (resolution_in_bins, None),
    ],
)
def test_weights_and_no_weights_are_the_same_for_equal_events(function, arguments) -> None:
    rng = np.random.default_rng(4)
    values, true = rng.normal(1, 0.1, 2000), rng.uniform(1, 10, 2000)
    if arguments is None:
        frames = [function(true, values * true, EDGES, **given) for given in ({}, {"weights": np.full(2000, 3.0)})]
        pd.testing.assert_frame_equal(*frames, rtol=1e-6)
        return
    plain, equal = astuple(function(values)), astuple(function(values, np.full(2000, 3.0)))
    # Errors of quantiles are those of other replicas.
    loose = 0.3 if function is quantile_resolution else 1e-3
    assert equal == pytest.approx(plain, rel=loose)
    assert equal[0] == pytest.approx(plain[0], rel=1e-9)


def test_weighted_errors_are_the_spread_of_toys() -> None:
    """The errors of core, quantiles and area, on flat samples weighted to a falling spectrum."""
    toys = []
    for seed in range(60):
        (scores, energy, weights), p = both(seed, 1500, falling=False)
        scores = scores - 0.35 * energy  # a normal distribution at all energies, so that the fit is right
        fit, quantile = gaussian_core(scores, weights), quantile_resolution(scores, weights, n_bootstrap=30)
        auc = roc_auc(scores, p[0], weights=(weights, p[2]))
        pairs = (fit.mean, fit.mean_error), (fit.sigma, fit.sigma_error), (quantile.half_width, quantile.error)
        toys.append([*pairs, (quantile.median, quantile.median_error), (auc.value, (auc.high - auc.low) / 2)])
    values, errors = np.moveaxis(np.array(toys), 2, 0)
    assert errors.mean(axis=0) / values.std(axis=0, ddof=1) == pytest.approx(1, abs=0.3)
    assert abs(values[:, :2].mean(axis=0) - [1.2, 1]) == pytest.approx(0, abs=0.02)


@pytest.mark.parametrize("efficiency", [0.6, 0.9])
def test_intervals_of_weighted_rejections_cover(efficiency: float) -> None:
    """Protons of an importance sample, flat in the energy, weighted to a spectrum that falls."""
    electrons, protons = both(999, 400_000, falling=True)
    true = rejection_curve(electrons[0], protons[0], [efficiency])["rejection"][0]
    covered = []
    for seed in range(300):
        e, p = both(seed, 1500, falling=False)
        row = rejection_curve(e[0], p[0], [efficiency], weights=(e[2], p[2])).iloc[0]
        covered.append(row["low_total"] <= true <= row["high_total"])
    assert np.mean(covered) >= 0.68 - 3 * np.sqrt(0.68 * 0.32 / 300)


def test_purity_knows_a_few_heavy_events() -> None:
    rng = np.random.default_rng(8)
    signal, background, data = (
        rng.normal(0, 1, 3000),
        rng.normal(3, 1, 3000),
        rng.normal([[0], [3]], 1, (2, 500)).ravel(),
    )
    heavy = rng.choice([0.1, 10], 3000, p=[0.9, 0.1])
    edges = np.linspace(-4, 8, 41)
    equal, unequal = (
        fit_templates(data, signal, background, edges, weights=(None, None, w)).purity(below=edges[17])
        for w in (None, heavy)
    )
    assert unequal[2] - unequal[1] > 1.5 * (equal[2] - equal[1])
