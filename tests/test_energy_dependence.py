"""Distance correlation against its definition and a closed form; spread of efficiencies and profiles against truth."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm

from ecalnb.metrics import (
    DEPENDENCE_COLUMNS,
    MatchedSample,
    distance_correlation,
    efficiency_against_energy,
    efficiency_spread,
    energy_correlation,
    energy_dependence,
    merge_bins,
    score_profile,
)

# --- Distance correlation ---


def average(n: int, indices: int, weights: np.ndarray, term: Callable[..., np.ndarray]) -> float:
    """Weighted average of a term over events that are all different."""
    chosen = np.array(list(itertools.permutations(range(n), indices))).T
    product = weights[chosen].prod(axis=0)
    return float((product * term(*chosen)).sum() / product.sum())


def by_definition(x: np.ndarray, y: np.ndarray, weights: np.ndarray) -> float:
    """Squared distance correlation, term by term, as in the docstring of the module."""

    def covariance(x: np.ndarray, y: np.ndarray) -> float:
        a, b, n = abs(x[:, None] - x), abs(y[:, None] - y), len(x)
        return (
            average(n, 2, weights, lambda i, j: a[i, j] * b[i, j])
            - 2 * average(n, 3, weights, lambda i, j, k: a[i, j] * b[i, k])
            + average(n, 4, weights, lambda i, j, k, m: a[i, j] * b[k, m])
        )

    return covariance(x, y) / np.sqrt(covariance(x, x) * covariance(y, y))


@settings(deadline=None, max_examples=10)
@given(st.integers(0, 2**32 - 1), st.booleans(), st.integers(0, 2))
def test_distance_correlation_is_that_of_the_definition(seed: int, weighted: bool, decimals: int) -> None:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=11).round(decimals)  # rounded: ties in both
    y = (x**2 + rng.normal(size=11)).round(decimals)
    x[0], x[1], y[0], y[1] = -3, 3, -3, 3  # never all the same
    weights = rng.uniform(0.2, 3, 11) if weighted else np.ones(11)
    found = distance_correlation(x, y, weights if weighted else None, n_replicas=0)
    assert found.squared == pytest.approx(by_definition(x, y, weights), rel=1e-9, abs=1e-11)
    assert np.isnan(found.error)


def closed_form(rho: float) -> float:
    """Of a normal distribution (Székely, Rizzo and Bakirov 2007, theorem 7)."""
    above = rho * np.arcsin(rho) + np.sqrt(1 - rho**2) - rho * np.arcsin(rho / 2) - np.sqrt(4 - rho**2) + 1
    return above / (1 + np.pi / 3 - np.sqrt(3))


@pytest.mark.parametrize("rho", [0.3, 0.8])
def test_distance_correlation_of_a_normal_distribution(rho: float) -> None:
    toys = []
    for seed in range(40):
        x, y = np.random.default_rng(seed).multivariate_normal([0, 0], [[1, rho], [rho, 1]], 400).T
        toys.append(distance_correlation(3 * x - 5, y, n_replicas=40, seed=seed))
    values, errors = np.array(toys).T
    assert values.mean() == pytest.approx(closed_form(rho), abs=3 * values.std() / np.sqrt(len(values)))
    assert errors.mean() == pytest.approx(values.std(ddof=1), rel=0.35)  # the spread of 40 is known to 11 %


def test_distance_correlation_of_independent_quantities_has_no_bias() -> None:
    values = [
        distance_correlation(*np.random.default_rng(seed).normal(size=(2, 60)), n_replicas=0) for seed in range(300)
    ]
    squared = np.array([value.squared for value in values])
    # Their own estimate of 2007 would be about 0.05 here.
    assert squared.mean() == pytest.approx(0, abs=4 * squared.std() / np.sqrt(len(squared)))


def test_distance_correlation_sees_what_the_correlation_does_not() -> None:
    x = np.linspace(-1, 1, 501)
    assert abs(np.corrcoef(x, x**2)[0, 1]) < 1e-12
    assert distance_correlation(x, x**2, n_replicas=0).squared > 0.2
    assert distance_correlation(x, 7 - 2 * x, n_replicas=0).squared == pytest.approx(1)


def test_ranks_do_not_know_scales() -> None:
    rng = np.random.default_rng(3)
    energy = rng.uniform(1, 100, 500)
    logit = np.log(energy) + rng.normal(size=500)
    by_logit, by_probability = (energy_correlation(s, energy) for s in (logit, 1 / (1 + np.exp(-logit))))
    assert by_logit == pytest.approx(by_probability)
    logit[:3] = -np.inf
    assert np.isfinite(energy_correlation(logit, np.log(energy)).squared)


def test_of_many_events_some_are_drawn() -> None:
    x, y = np.random.default_rng(3).multivariate_normal([0, 0], [[1, 0.5], [0.5, 1]], 3000).T
    few, all_of_them = distance_correlation(x, y, max_events=1000), distance_correlation(x, y)
    assert few.error > 1.3 * all_of_them.error
    assert few.squared == pytest.approx(all_of_them.squared, abs=4 * few.error)


@pytest.mark.parametrize(
    ("x", "y", "options", "message"),
    [
        (range(9), range(9), {}, "there are 9 events; expected 10 or more"),
        (range(10), range(9), {}, "values of y hold 9 numbers; expected 10"),
        ([1.0] * 10, range(10), {}, "all the same"),
        ([np.inf, *range(9)], range(10), {}, "infinite"),
        (range(10), range(10), {"n_replicas": 5}, "n_replicas is 5"),
        (range(10), range(10), {"weights": [-1.0] * 10}, "a weight of the events is -1"),
    ],
)
def test_what_has_no_distance_correlation_is_said(x, y, options, message) -> None:
    with pytest.raises(ValueError, match=message):
        distance_correlation(list(x), list(y), **options)


# --- Efficiency against energy ---

EDGES = np.linspace(0, 10, 6)


def drifting(rng: np.random.Generator, n: int, drift: float) -> tuple[np.ndarray, np.ndarray]:
    """Scores that shift with the bin of the energy, linearly."""
    energy = rng.uniform(0, 10, n)
    return rng.normal(drift * np.floor(energy / 2), 1), energy


def true_spread(drift: float, efficiency: float) -> float:
    shifts = drift * np.arange(5)
    low, high = -10.0, 10.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if norm.sf(middle - shifts).mean() > efficiency else (low, middle)
    return float(norm.sf(low - shifts).std(ddof=1))


@pytest.mark.parametrize("drift", [0.08, 0.3])
def test_spread_of_the_efficiency_is_covered(drift: float) -> None:
    true = true_spread(drift, 0.9)
    toys = [
        efficiency_spread(*drifting(np.random.default_rng(seed), 3000, drift), EDGES, 0.9, n_replicas=40)
        for seed in range(150)
    ]
    squares = np.array([toy.spread**2 for toy in toys])
    assert squares.mean() == pytest.approx(true**2, abs=4 * squares.std() / np.sqrt(len(toys)))
    covered = np.mean([toy.low <= true <= toy.high for toy in toys])
    assert covered == pytest.approx(0.68, abs=0.13)


def test_no_drift_is_no_spread() -> None:
    toys = [
        efficiency_spread(*drifting(np.random.default_rng(seed), 2000, 0.0), EDGES, 0.9, n_replicas=20)
        for seed in range(100)
    ]
    assert np.mean([toy.low == 0 for toy in toys]) > 0.8
    # The chi2 knows nothing of the threshold, which the same events set, so it need not be quite uniform.
    assert np.mean([toy.p_value < 0.1 for toy in toys]) < 0.2
    assert all(toy.lowest < 0.9 < toy.highest and toy.n_bins == 5 for toy in toys)


def test_threshold_of_a_window_moves_the_efficiency_elsewhere() -> None:
    scores, energy = drifting(np.random.default_rng(2), 20_000, 0.3)
    spread = efficiency_spread(scores, energy, EDGES, 0.9, window=(0, 2), n_replicas=20)
    assert spread.lowest == pytest.approx(0.9, abs=0.01)
    assert spread.highest == pytest.approx(norm.sf(norm.isf(0.9) - 1.2), abs=0.01)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"edges": [0, 10]}, "1 bins have 50 events"),
        ({"window": (20, 30)}, "no electron is inside 20 to 30 GeV"),
        ({"efficiency": 90}, r"0\.9, not 90"),
        ({"n_replicas": 3}, "n_replicas is 3"),
        ({"scores": []}, "no scores"),
    ],
)
def test_what_has_no_spread_is_said(change, message) -> None:
    scores, energy = drifting(np.random.default_rng(2), 500, 0.3)
    with pytest.raises(ValueError, match=message):
        efficiency_spread(**({"scores": scores, "energy": energy, "edges": EDGES, "efficiency": 0.9} | change))


# --- Tables of models ---


@pytest.fixture(scope="module")
def sample() -> MatchedSample:
    rng = np.random.default_rng(9)
    electron = rng.random(6000) < 0.5
    energy = np.exp(rng.uniform(0, np.log(10), 6000))
    good = rng.normal(np.where(electron, 3, 0), 1)
    table = pd.DataFrame(
        {
            "en3d": energy,
            "label": np.where(electron, "electron", "proton"),
            "split": "test",
            "ecal_flat": good,
            "ecal_leaning": good + 0.8 * np.log(energy),
        }
    )
    return MatchedSample.from_scores(table, 1, 10)


def test_table_of_dependences_is_that_of_its_parts(sample: MatchedSample) -> None:
    edges = np.geomspace(1, 10, 7)
    table = energy_dependence(sample, edges, [0.6, 0.9], window=(1, 3), n_replicas=20)
    assert list(table) == list(DEPENDENCE_COLUMNS)
    assert table["model"].tolist() == ["ecal_flat"] * 2 + ["ecal_leaning"] * 2
    flat, leaning = (table.iloc[k] for k in (1, 3))
    electrons, weights = sample.electrons, sample.weights[0]
    spread = efficiency_spread(
        electrons["ecal_leaning"], electrons["en3d"], edges, 0.9, window=(1, 3), weights=weights, n_replicas=20
    )
    assert leaning[["spread", "spread_low", "spread_high", "lowest", "highest", "p_value"]].tolist() == list(
        spread[:-1]
    )
    own = energy_correlation(sample.protons["ecal_flat"], sample.protons["en3d"], sample.weights[1], n_replicas=20)
    assert flat[["proton", "proton_error"]].tolist() == pytest.approx(list(own))
    assert leaning["spread"] > 5 * flat["spread"]
    assert leaning["electron"] > 0.1 > 0.02 > abs(flat["electron"])


def test_bins_of_the_spread_are_merged_where_electrons_are_few(sample: MatchedSample) -> None:
    fine = energy_dependence(sample, np.geomspace(1, 10, 201), models=["ecal_flat"], min_count=500, n_replicas=20)
    assert fine["spread"].notna().all()
    with pytest.raises(ValueError, match="bins have 5000 events"):
        energy_dependence(sample, [1, 2, 10], models=["ecal_flat"], min_count=5000, n_replicas=20)


def test_efficiency_against_energy_is_the_rejection_in_bins_of_each_model(sample: MatchedSample) -> None:
    table = efficiency_against_energy(sample, [1, 3, 10], [0.9], window=(1, 3))
    assert table["bin"].tolist() == ["1 to 3", "3 to 10"] * 2
    by_model = table.set_index(["model", "bin"])["efficiency_achieved"]
    assert by_model["ecal_flat", "3 to 10"] == pytest.approx(0.9, abs=0.03)
    assert by_model["ecal_leaning", "3 to 10"] > 0.95
    empty = efficiency_against_energy(sample, [1, 1.0001, 10], 0.9, models=["ecal_flat"])
    assert empty["text"].iloc[0] == ""
    assert str(round(empty["rejection"].iloc[1])) in empty["text"].iloc[1]


# --- Profiles and bins ---


def test_profile_has_the_quantiles_of_each_bin() -> None:
    scores, energy = drifting(np.random.default_rng(5), 5000, 0.4)
    table = score_profile(scores, energy, EDGES, quantiles=[0.1, 0.5, 0.9])
    for number, row in enumerate(table.to_dict("records")):
        inside = scores[np.floor(energy / 2) == number]
        assert row["n"] == len(inside)
        assert [row[q] for q in (0.1, 0.5, 0.9)] == pytest.approx(np.quantile(inside, [0.1, 0.5, 0.9]))
        assert row["median_low"] < row["median"] == row[0.5] < row["median_high"]


def test_interval_of_the_median_covers() -> None:
    tables = [score_profile(*drifting(np.random.default_rng(seed), 400, 0.3), [0, 2, 4]) for seed in range(200)]
    covered = [(t["median_low"] <= [0, 0.3]) & (t["median_high"] >= [0, 0.3]) for t in tables]
    assert np.mean(covered) == pytest.approx(0.68, abs=0.08)


def test_profile_of_few_events_is_left_out() -> None:
    table = score_profile(np.arange(60.0), [*[1] * 55, *[3] * 5], [0, 2, 4, 6])
    assert table["n"].tolist() == [55, 5, 0]
    assert table["median"].isna().tolist() == [False, True, True]
    with pytest.raises(ValueError, match=r"quantiles are \[68\.0\]"):
        score_profile([1.0], [1.0], [0, 2], quantiles=[68])


@given(st.lists(st.integers(0, 9), max_size=60), st.lists(st.integers(0, 9), max_size=60), st.integers(1, 9))
def test_merged_bins_have_enough_or_are_one(first: list[int], second: list[int], min_count: int) -> None:
    edges = merge_bins(np.arange(11), first, second, min_count=min_count)
    assert (edges[0], edges[-1]) == (0, 10)
    assert set(edges) <= set(range(11))
    counts = [np.histogram(sample, edges)[0] for sample in (first, second)]
    if len(edges) > 2:
        assert np.min(counts) >= min_count
    # No bin but the last, which takes what is left, could be closed earlier.
    for low, high in itertools.pairwise(edges[:-1]):
        assert min(sum(low <= v < high - 1 for v in sample) for sample in (first, second)) < min_count
