"""Area under the ROC curve: against scikit-learn, against the analytic value, and coverage by toys."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm
from sklearn.metrics import roc_auc_score

from ecalnb.metrics import roc_auc


@pytest.mark.parametrize("decimals", [0, 1, 8])
def test_value_is_that_of_scikit_learn(decimals):
    rng = np.random.default_rng(2)
    signal, background = rng.normal(1, 1, 300).round(decimals), rng.normal(0, 1, 500).round(decimals)
    truth = np.repeat([1, 0], [300, 500])
    assert roc_auc(signal, background).value == pytest.approx(
        roc_auc_score(truth, np.concatenate([signal, background]))
    )


@pytest.mark.parametrize("shift", [0.5, 2.5])
def test_interval_covers_the_analytic_area(shift):
    """Two normal distributions a shift apart: the area is Phi(shift / sqrt 2)."""
    rng = np.random.default_rng(4)
    true = norm.cdf(shift / np.sqrt(2))
    intervals = [roc_auc(rng.normal(shift, 1, 150), rng.normal(0, 1, 250)) for _ in range(800)]
    covered = np.mean([low <= true <= high for _, low, high in intervals])
    assert covered == pytest.approx(0.68, abs=4 * np.sqrt(0.68 * 0.32 / 800))


def test_separated_samples_still_have_an_uncertainty():
    value, low, high = roc_auc(np.arange(100) + 1000.0, np.arange(400.0))
    assert (value, high) == (1, 1)
    assert low == pytest.approx(0.16 ** (1 / 100))  # none of 100 events


def test_swapping_the_samples_mirrors_the_interval():
    rng = np.random.default_rng(6)
    a, b = rng.normal(1, 1, 50), rng.normal(0, 2, 80)
    forward, back = roc_auc(a, b), roc_auc(b, a)
    assert forward == pytest.approx((1 - back.value, 1 - back.high, 1 - back.low))


@pytest.mark.parametrize(
    ("signal", "background", "message"),
    [([1.0], [0.0, 1.0], "1 scores of the signal"), ([1.0, np.nan], [0.0, 1.0], "NaN")],
)
def test_scores_that_say_nothing_are_refused(signal, background, message):
    with pytest.raises(ValueError, match=message):
        roc_auc(signal, background)


def test_whole_weights_are_repeated_events_and_scikit_learn_agrees():
    rng = np.random.default_rng(8)
    samples = rng.normal(1, 1, 200).round(1), rng.normal(0, 1, 300).round(1)
    weights = rng.integers(0, 4, 200), rng.integers(1, 4, 300)
    value = roc_auc(*samples, weights=weights).value
    repeated = [np.repeat(scores, number) for scores, number in zip(samples, weights, strict=True)]
    assert value == pytest.approx(roc_auc(*repeated).value)
    truth = np.repeat([1, 0], [200, 300])
    assert value == pytest.approx(
        roc_auc_score(truth, np.concatenate(samples), sample_weight=np.concatenate(weights).astype(float))
    )


def test_weighted_intervals_cover_the_area_of_the_spectrum_that_the_weights_make():
    """A flat spectrum with weights that fall covers what events drawn from the falling spectrum would."""
    rng = np.random.default_rng(9)

    def scores(energy):
        return energy + rng.normal(size=len(energy))

    true = roc_auc(scores(2 * rng.beta(1, 2, 400_000)) + 1, scores(2 * rng.beta(1, 2, 400_000))).value
    inside = 0
    for _ in range(500):
        flat = rng.uniform(0, 2, 200), rng.uniform(0, 2, 300)
        _, low, high = roc_auc(scores(flat[0]) + 1, scores(flat[1]), weights=tuple(2 - energy for energy in flat))
        inside += low <= true <= high
    assert inside / 500 == pytest.approx(0.68, abs=4 * np.sqrt(0.68 * 0.32 / 500))


def test_equal_weights_change_nothing():
    rng = np.random.default_rng(10)
    a, b = rng.normal(1, 1, 50), rng.normal(0, 2, 80)
    assert roc_auc(a, b, weights=(np.full(50, 2.0), None)) == pytest.approx(roc_auc(a, b))
