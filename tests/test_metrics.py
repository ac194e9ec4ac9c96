"""Rejections against brute force, scikit-learn and scipy; coverage of intervals by exact sums and by toys."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom, binomtest, norm
from sklearn.metrics import roc_curve

from ecalnb.intervals import clopper_pearson_bound, melded_bound
from ecalnb.metrics import REJECTION_COLUMNS, clopper_pearson, rejection_curve

few_values = st.lists(st.integers(-3, 3), min_size=1, max_size=25)  # so that ties abound


@given(st.integers(1, 10**6), st.floats(0, 1), st.floats(0.05, 0.999))
@settings(deadline=None)
def test_clopper_pearson_agrees_with_scipy(n, fraction, level):
    k = round(n * fraction)
    expected = binomtest(k, n).proportion_ci(level, method="exact")
    low, high = clopper_pearson(k, n, level)
    # scipy searches the root to 2e-12.
    assert low == pytest.approx(expected.low, rel=1e-8, abs=4e-12)
    assert high == pytest.approx(expected.high, rel=1e-8, abs=4e-12)


@pytest.mark.parametrize("level", [0.68, 0.9, 0.95])
@pytest.mark.parametrize("n", [1, 5, 30, 300])
def test_clopper_pearson_never_covers_below_nominal(n, level):
    # Not by toys but exactly: the sum of the probabilities of all outcomes whose interval holds the truth.
    truth = np.linspace(0.0005, 0.9995, 1000)
    k = np.arange(n + 1)
    low, high = clopper_pearson(k, n, level)
    covers = (low <= truth[:, None]) & (truth[:, None] <= high)
    coverage = (binom.pmf(k, n, truth[:, None]) * covers).sum(axis=1)
    assert coverage.min() >= level - 1e-9
    # The usual normal interval does fall below, so this test can fail.
    error = norm.isf((1 - level) / 2) * np.sqrt(k * (n - k) / n**3)
    normal = abs(truth[:, None] - k / n) <= error
    assert (binom.pmf(k, n, truth[:, None]) * normal).sum(axis=1).min() < level


def test_clopper_pearson_of_nothing_knows_nothing():
    low, high = clopper_pearson(0, 0)
    assert (low, high) == (0, 1)


@pytest.mark.parametrize(("k", "n"), [(3, 2), (-1, 2), (np.nan, 2), (1, np.nan), (1, np.inf)])
def test_impossible_counts_are_refused(k, n):
    with pytest.raises(ValueError, match="expected 0 <= k <= n"):
        clopper_pearson(k, n)


@pytest.mark.parametrize("level", [0, 1, 68, np.nan])
def test_impossible_levels_are_refused(level):
    with pytest.raises(ValueError, match="strictly between 0 and 1"):
        clopper_pearson(1, 2, level)


def test_melded_bound_of_a_certain_threshold_is_clopper_pearson():
    k, miss = np.array([0, 3, 40]), np.full(3, 0.16)
    probability = np.array([[0.0, 1.0, 0.0]] * 3)
    for side in ("low", "high"):
        bound = melded_bound(np.column_stack([k + 30, k, k + 5]), 50 + k[:, None] * 2, probability, miss, side)
        assert bound == pytest.approx(clopper_pearson_bound(k, 50 + k * 2, miss, side), rel=1e-8)


def test_melded_bound_agrees_with_random_draws():
    rng = np.random.default_rng(1)
    k, n, probability = np.array([[2, 4, 9]]), 1000, np.array([[0.2, 0.5, 0.3]])
    chosen = rng.choice(3, 400_000, p=probability[0])
    upper = rng.beta((k[0] + 1)[chosen], (n - k[0])[chosen])
    lower = rng.beta(k[0][chosen], (n - k[0] + 1)[chosen])
    assert melded_bound(k, n, probability, [0.16], "high")[0] == pytest.approx(np.quantile(upper, 0.84), rel=0.01)
    assert melded_bound(k, n, probability, [0.16], "low")[0] == pytest.approx(np.quantile(lower, 0.16), rel=0.01)


def brute_force(signal, background, wanted):
    """Threshold by trying every score from the top."""
    for threshold in sorted(signal, reverse=True):
        passed = sum(score >= threshold for score in signal)
        if passed >= wanted:
            return threshold, passed, sum(score >= threshold for score in background)
    raise AssertionError


@settings(deadline=None, max_examples=200)
@given(few_values, few_values, st.lists(st.integers(1, 100), min_size=1, max_size=5))
def test_curve_agrees_with_brute_force_for_ties(signal, background, percent):
    curve = rejection_curve(signal, background, [p / 100 for p in percent])
    assert list(curve) == list(REJECTION_COLUMNS)
    for p, row in zip(percent, curve.itertuples(), strict=True):
        wanted = -(-p * len(signal) // 100)  # whole-number arithmetic: no rounding error
        threshold, electrons, protons = brute_force(signal, background, wanted)
        assert (row.threshold, row.n_passed) == (threshold, protons)
        assert row.efficiency_achieved == pytest.approx(electrons / len(signal))
        assert row.is_limit == (protons == 0)
        assert row.rejection == (len(background) / protons if protons else np.inf)
        expected = binomtest(protons, len(background)).proportion_ci(0.68, method="exact")
        if protons:
            assert row.low == pytest.approx(1 / expected.high)
            assert row.high == pytest.approx(1 / expected.low)
        expected = binomtest(electrons, len(signal)).proportion_ci(0.68, method="exact")
        assert row.efficiency_low == pytest.approx(expected.low)
        assert row.efficiency_high == pytest.approx(expected.high)
        assert row.low_total <= row.low <= row.rejection <= row.high <= row.high_total
        assert row.threshold_low <= row.threshold <= row.threshold_high
        assert row.rejection_threshold_low <= row.rejection <= row.rejection_threshold_high


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int16])
def test_curve_agrees_with_scikit_learn(dtype):
    rng = np.random.default_rng(3)
    signal = (rng.normal(3, 10, 5000)).round(1).astype(dtype)  # rounded: thousands of ties
    background = (rng.normal(-8, 10, 20_000)).round(1).astype(dtype)
    scores = np.concatenate([signal, background])
    labels = np.repeat([1, 0], [len(signal), len(background)])
    false, true, thresholds = roc_curve(labels, scores, drop_intermediate=False)
    curve = rejection_curve(signal, background)
    first = [np.flatnonzero(true >= e - 1e-12)[0] for e in curve["efficiency"]]
    assert curve["threshold"].to_numpy() == pytest.approx(thresholds[first])
    assert curve["efficiency_achieved"].to_numpy() == pytest.approx(true[first])
    assert (curve["n_passed"] / curve["n_background"]).to_numpy() == pytest.approx(false[first])


def test_float32_and_float64_scores_are_compared_exactly():
    # 0.1 as float32 is above 0.1, and just below it lies a float64 that rounds to the same float32.
    close = np.nextafter(np.float64(np.float32(0.1)), 0)
    assert rejection_curve(np.float32([0.1]), [close], [1])["n_passed"][0] == 0
    assert rejection_curve([close], np.float32([0.1]), [1])["n_passed"][0] == 1
    assert rejection_curve([np.nextafter(np.float64(np.float32(0.1)), 1)], np.float32([0.1]), [1])["n_passed"][0] == 0


def test_infinite_scores_are_scores():
    curve = rejection_curve([np.inf, np.inf, 1, -np.inf], [np.inf, 0, -np.inf, -np.inf], [0.5, 0.75, 1])
    assert curve["n_passed"].tolist() == [1, 1, 4]


def test_one_hundred_percent_takes_the_lowest_electron_and_promises_nothing():
    row = rejection_curve(np.arange(1, 101), np.arange(-900, 100), [1]).iloc[0]
    assert (row.threshold, row.n_passed) == (1, 99)
    assert row.threshold_low == -np.inf
    assert row.low_total == 1


def test_limit_where_no_proton_is_left():
    signal, background = np.ones(1000), np.zeros(10_000)
    row = rejection_curve(signal, background, [0.9]).iloc[0]
    assert row.is_limit
    assert row.rejection == row.high == row.high_total == np.inf
    assert row.level == pytest.approx(0.9)
    # P(0 | N p) = 10 %: p = 1 - 0.1^(1/N), close to 2.30 / N.
    assert row.low == pytest.approx(1 / (1 - 0.1 ** (1 / 10_000)))
    assert row.low == pytest.approx(10_000 / np.log(10), rel=1e-3)
    assert rejection_curve(signal, background, [0.9], limit_level=0.95)["low"][0] == pytest.approx(
        10_000 / 3.0, rel=2e-3
    )
    # Never a limit weaker than the upper edge of the interval that it stands for.
    row = rejection_curve(signal, background, [0.9], level=0.95).iloc[0]
    assert row.level == pytest.approx(0.975)
    assert row.low == pytest.approx(1 / clopper_pearson(0, 10_000, 0.95)[1])


def test_default_efficiencies_are_those_of_the_paper():
    curve = rejection_curve([1.0, 2.0], [0.0])
    assert curve["efficiency"].to_numpy() == pytest.approx(np.arange(1, 101) / 100)


def test_more_efficient_is_less_rejecting():
    rng = np.random.default_rng(2)
    curve = rejection_curve(rng.normal(1, 1, 3000), rng.normal(-1, 1, 5000))
    for column in ("rejection", "low", "high", "low_total", "high_total", "threshold"):
        values = curve.loc[~curve["is_limit"], column].to_numpy()
        assert (values[1:] <= values[:-1] * (1 + 1e-6) + 1e-9).all(), column


def toy_curves(n_signal, n_background, separation, efficiencies, level, toys=250, seed=7):
    """Gaussian scores, so that the true threshold and rejections are known."""
    rng = np.random.default_rng(seed)
    curves = [
        rejection_curve(rng.normal(0, 1, n_signal), rng.normal(-separation, 1, n_background), efficiencies, level=level)
        for _ in range(toys)
    ]
    return {name: np.array([curve[name] for curve in curves]) for name in REJECTION_COLUMNS}


def fraction_inside(low, truth, high):
    return ((low <= truth) & (truth <= high)).mean(axis=0)


@pytest.mark.parametrize("level", [0.68, 0.95])
@pytest.mark.parametrize(
    ("n_signal", "n_background", "separation"), [(50, 10_000, 1.5), (200, 2000, 2.0), (1000, 5000, 3.5)]
)
def test_coverage_of_rejections(n_signal, n_background, separation, level):
    efficiencies = np.array([0.5, 0.9, 0.95])
    toys = toy_curves(n_signal, n_background, separation, efficiencies, level)
    slack = 3 * np.sqrt(level * (1 - level) / len(toys["low"]))
    true_threshold = norm.isf(efficiencies)
    at_true_threshold = 1 / norm.sf(true_threshold + separation)
    at_this_threshold = 1 / norm.sf(toys["threshold"] + separation)
    total = fraction_inside(toys["low_total"], at_true_threshold, toys["high_total"])
    counted = fraction_inside(toys["low"], at_this_threshold, toys["high"])
    threshold = fraction_inside(toys["threshold_low"], true_threshold, toys["threshold_high"])
    efficiency = fraction_inside(toys["efficiency_low"], norm.sf(true_threshold), toys["efficiency_high"])
    for coverage in (total, counted, threshold, efficiency):
        assert (coverage >= level - slack).all()
    # Honest, but not by being useless: few events make it conservative, within reason.
    assert total.max() < 1
    assert counted[1:].max() < (1 + level) / 2 + slack


def test_threshold_uncertainty_matters():
    # With 50 electrons and many protons, the interval at a given threshold says little about the true one.
    toys = toy_curves(50, 10_000, 1.5, [0.9], 0.68)
    truth = 1 / norm.sf(norm.isf(0.9) + 1.5)
    assert fraction_inside(toys["low"], truth, toys["high"])[0] < 0.2
    assert fraction_inside(toys["low_total"], truth, toys["high_total"])[0] > 0.65


def test_coverage_where_few_protons_or_none_are_left():
    # About 1.5 protons pass: limits and intervals take turns, and the recipe as a whole must still cover.
    truth_passed, n = 1.5, 2000
    separation = norm.isf(truth_passed / n) - norm.isf(0.9)
    toys = toy_curves(2000, n, separation, [0.9], 0.68, toys=600)
    truth = n / truth_passed
    limits = toys["is_limit"]
    assert 0.1 < limits.mean() < 0.4
    assert fraction_inside(toys["low_total"], truth, toys["high_total"])[0] > 0.68
    # Alone, limits at 90 % may be wrong in no more than 10 % of all toys.
    assert (limits & (toys["low_total"] > truth)).mean() <= 0.1 + 3 * np.sqrt(0.09 / 600)
