"""Calibration: against scikit-learn and torchmetrics, the analytic temperature, and weighted against drawn events."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.special import expit
from sklearn.calibration import calibration_curve
from torchmetrics.functional.classification import binary_calibration_error

from ecalnb.metrics import RELIABILITY_COLUMNS, calibration_error, fit_temperature, reliability


def toy(n, temperature=1.0, shift=2.0, seed=1):
    """Normal scores: with means +-shift / 2 and width 1 the logit of an even mixture is shift times the value."""
    rng = np.random.default_rng(seed)
    return tuple(temperature * shift * rng.normal(sign * shift / 2, 1, n) for sign in (1, -1))


def split(signal, background):
    truth = np.repeat([1, 0], [len(signal), len(background)])
    return truth, expit(np.concatenate([signal, background]))


def test_the_curve_is_that_of_scikit_learn():
    signal, background = toy(3000, temperature=2.0)
    truth, probability = split(signal, background)
    table = reliability(signal, background, np.linspace(0, 1, 11))
    assert list(table) == list(RELIABILITY_COLUMNS)
    observed, predicted = calibration_curve(truth, probability, n_bins=10)
    np.testing.assert_allclose(table["observed"], observed)
    np.testing.assert_allclose(table["predicted"], predicted)
    assert table["n"].sum() == 6000
    assert table["share"].sum() == pytest.approx(1)


def test_the_error_is_that_of_torchmetrics():
    signal, background = toy(3000, temperature=2.0)
    truth, probability = split(signal, background)
    expected = binary_calibration_error(torch.from_numpy(probability), torch.from_numpy(truth), n_bins=15)
    assert calibration_error(signal, background).value == pytest.approx(float(expected), abs=1e-6)


def test_a_calibrated_score_has_the_error_of_chance():
    results = [calibration_error(*toy(2000, seed=seed), n_replicas=2) for seed in range(40)]
    values = np.array([result.value for result in results])
    chance = np.mean([result.chance for result in results])
    assert values.mean() == pytest.approx(chance, abs=4 * values.std() / np.sqrt(40))


def test_the_error_of_the_calibration_error_is_its_spread():
    spread = np.std([calibration_error(*toy(2000, 2.0, seed=seed), n_replicas=2).value for seed in range(60)])
    assert calibration_error(*toy(2000, 2.0, seed=99)).error == pytest.approx(spread, rel=0.4)


def test_the_temperature_is_found_with_its_error():
    pulls = []
    for seed in range(60):
        found = fit_temperature(*toy(1000, temperature=2.5, seed=seed))
        pulls.append((found.value - 2.5) / found.error)
        assert found.loss_after < found.loss_before
    assert abs(np.mean(pulls)) < 4 / np.sqrt(60)
    assert np.std(pulls) == pytest.approx(1, abs=4 / np.sqrt(120))


def test_after_the_temperature_the_score_is_calibrated():
    validation, test = toy(20_000, 2.5, seed=1), toy(20_000, 2.5, seed=2)
    temperature = fit_temperature(*validation).value
    before, after = (calibration_error(*(scores / scale for scores in test)) for scale in (1, temperature))
    assert before.value > 0.05 > after.value
    assert after.value < after.chance + 3 * after.error


def test_an_uneven_mixture_takes_its_prior():
    """Of logits of a mixture with a third of electrons, the even mixture is off by ln 2, and its own is not."""
    signal, background = (scores - np.log(2) for scores in toy(50_000))
    own, even = (calibration_error(signal, background, prior=prior, n_replicas=10) for prior in (1 / 3, 0.5))
    assert own.value < 3 * own.chance
    assert even.value > 10 * even.chance


@pytest.mark.parametrize("quantity", ["reliability", "error", "temperature"])
def test_weighted_events_are_worth_those_drawn_from_their_spectrum(quantity):
    """A flat spectrum with weights 1 / E, and events drawn from 1 / E; the shift of the score depends on E."""
    rng = np.random.default_rng(5)

    def scores(energy, sign):
        return 2 * rng.normal(sign * (0.5 + energy), 1)

    flat = [rng.uniform(0.2, 2, 40_000) for _ in range(2)]
    drawn = [0.2 * 10 ** rng.uniform(0, 1, 40_000) for _ in range(2)]
    weighted = [scores(energy, sign) for energy, sign in zip(flat, (1, -1), strict=True)]
    unweighted = [scores(energy, sign) for energy, sign in zip(drawn, (1, -1), strict=True)]
    weights = tuple(1 / energy for energy in flat)
    if quantity == "temperature":
        first, second = fit_temperature(*weighted, weights=weights), fit_temperature(*unweighted)
        wrong = fit_temperature(*weighted)
        error = np.hypot(first.error, second.error)
        assert abs(first.value - second.value) < 3 * error
        assert abs(wrong.value - second.value) > 5 * error
        assert first.error > wrong.error
    elif quantity == "error":
        first, second = calibration_error(*weighted, weights=weights), calibration_error(*unweighted)
        assert abs(first.value - second.value) < 3 * np.hypot(first.error, second.error)
        assert abs(calibration_error(*weighted).value - second.value) > 5 * second.error
    else:
        edges = np.linspace(0, 1, 6)
        first, second = reliability(*weighted, edges, weights=weights), reliability(*unweighted, edges)
        error = sum(table["high"] - table["low"] for table in (first, second)) / 2
        assert (abs(first["observed"] - second["observed"]) < 3 * error).all()
        np.testing.assert_allclose(first["share"], second["share"], atol=0.01)


def test_equal_weights_change_nothing():
    signal, background = toy(500)
    weights = np.full(500, 3.0), np.full(500, 0.1)
    for function in (calibration_error, fit_temperature):
        assert function(signal, background, weights=weights) == pytest.approx(function(signal, background))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"scores_signal": []}, "0 scores of the signal"),
        ({"scores_background": [np.inf, 0.0]}, "not all finite"),
        ({"prior": 1.0}, "prior is 1.0"),
        ({"edges": [0.0, 0.5]}, "from 0 to 0.5"),
        ({"weights": (None, [-1.0, 1.0])}, "a weight of the background is -1"),
    ],
)
def test_what_makes_no_sense_is_refused(change, message):
    arguments = {"scores_signal": [1.0, -1.0], "scores_background": [0.5, -2.0], **change}
    with pytest.raises(ValueError, match=message):
        calibration_error(**arguments)


def test_a_perfect_sample_has_no_best_temperature():
    with pytest.raises(ValueError, match="right for all 4 events"):
        fit_temperature([1.0, 2.0], [-1.0, -2.0])
