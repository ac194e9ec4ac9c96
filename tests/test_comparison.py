"""Factors between models: against replicas drawn the slow way, and the coverage of their intervals."""

import numpy as np
import pytest
from scipy.stats import norm

from ecalnb.metrics import FACTOR_COLUMNS, rejection_curve, rejection_factors
from ecalnb.metrics.comparison import passed_in_replicas


def toy(rng, n=1000, m=4000, separations=(3.0, 2.5), shared=0.7):
    """Scores of models that share a part of what they see of each event: normal, electrons shifted."""

    def scores(number, shift):
        common = rng.normal(size=number)
        own = rng.normal(size=(len(separations), number))
        return shared * common + np.sqrt(1 - shared**2) * own + np.array(shift)[:, None]

    names = ["first", "second", "third"][: len(separations)]
    signal, background = scores(n, separations), scores(m, np.zeros(len(separations)))
    return dict(zip(names, signal, strict=True)), dict(zip(names, background, strict=True))


def true_factor(separations, efficiency):
    """Ratio of the proton fractions above the thresholds of an efficiency."""
    first, second = (norm.sf(separation + norm.isf(efficiency)) for separation in separations)
    return second / first


def test_the_factor_is_the_ratio_of_two_rejections():
    signal, background = toy(np.random.default_rng(1))
    weights = [np.random.default_rng(2).uniform(0.5, 2, number) for number in (1000, 4000)]
    table = rejection_factors(signal, background, "first", 0.8, weights=tuple(weights), n_replicas=100)
    assert list(table) == list(FACTOR_COLUMNS)
    (row,) = table.to_dict("records")
    ratio = [
        rejection_curve(signal[name], background[name], [0.8], weights=tuple(weights))["rejection"][0]
        for name in ("first", "second")
    ]
    assert row["factor"] == pytest.approx(ratio[0] / ratio[1])
    assert row["low"] < row["factor"] < row["high"]


def test_replicas_are_those_of_drawing_events_one_by_one():
    rng = np.random.default_rng(3)
    # Rounded, so that scores are equal now and then.
    signal, background = rng.normal(1, 1, (2, 50)).round(1), rng.normal(0, 1, (2, 80)).round(1)
    weights = [rng.uniform(0.5, 2, number) for number in (50, 80)]
    passed = passed_in_replicas(signal, background, *weights, 0.7, 20, np.random.default_rng(4))
    again = np.random.default_rng(4)
    electrons, protons = again.exponential(size=(20, 50)), again.exponential(size=(20, 80))
    for replica in range(20):
        for model in range(2):
            drawn = weights[0] * electrons[replica], weights[1] * protons[replica]
            curve = rejection_curve(signal[model], background[model], [0.7], weights=drawn)
            expected = np.sum(weights[1] * protons[replica]) / curve["rejection"][0]
            assert passed[replica, model] == pytest.approx(expected)


def test_a_model_is_as_good_as_itself():
    signal, background = toy(np.random.default_rng(5), separations=(2.0,))
    both = ({**scores, "same": scores["first"]} for scores in (signal, background))
    (row,) = rejection_factors(*both, "first", n_replicas=100).to_dict("records")
    assert row["factor"] == 1
    assert row["only_reference"] == row["only_model"] == 0
    # All that is not known is whether one more proton would have told them apart.
    assert 1 - 3 / row["both"] < row["low"] < 1 < row["high"] < 1 + 3 / row["both"]


@pytest.mark.parametrize("shared", [0.0, 0.9])
def test_intervals_cover_the_true_factor(shared):
    separations, efficiency = (2.0, 1.7), 0.8
    truth = true_factor(separations, efficiency)
    rng = np.random.default_rng(6)
    inside, trials = 0, 120
    for trial in range(trials):
        signal, background = toy(rng, 500, 1500, separations, shared)
        (row,) = rejection_factors(signal, background, "first", efficiency, n_replicas=200, seed=trial).to_dict(
            "records"
        )
        inside += row["low"] <= truth <= row["high"]
    assert abs(inside / trials - 0.68) < 3 * np.sqrt(0.68 * 0.32 / trials)


def test_intervals_of_few_protons_cover_the_true_factor():
    separations, efficiency = (3.4, 3.0), 0.8  # about 2 and 6 protons pass
    truth = true_factor(separations, efficiency)
    rng = np.random.default_rng(9)
    inside, trials = 0, 150
    for trial in range(trials):
        signal, background = toy(rng, 500, 1200, separations, 0.5)
        (row,) = rejection_factors(signal, background, "first", efficiency, n_replicas=200, seed=trial).to_dict(
            "records"
        )
        inside += row["low"] <= truth <= row["high"]
        if not np.isnan(row["factor"]):
            assert row["low"] <= row["factor"] <= row["high"]
    assert inside / trials > 0.68 - 2 * np.sqrt(0.68 * 0.32 / trials)


def test_sharing_events_makes_the_interval_narrower():
    def width(shared):
        signal, background = toy(np.random.default_rng(7), 2000, 5000, (2.0, 1.9), shared)
        (row,) = rejection_factors(signal, background, "first", n_replicas=300).to_dict("records")
        return np.log(row["high"] / row["low"])

    assert width(0.95) < 0.7 * width(0.0)


def test_no_proton_left_is_a_limit():
    signal = {"perfect": np.linspace(5, 6, 200), "poor": np.linspace(-1, 1, 200)}
    background = {"perfect": np.linspace(-1, 0, 300), "poor": np.linspace(-1, 1, 300)}
    (row,) = rejection_factors(signal, background, "perfect").to_dict("records")
    assert row["factor"] == row["high"] == np.inf
    # 270 of 300 pass the other, and none this one: fewer than 1.83 with 84 %.
    assert row["low"] == pytest.approx(270 / 1.83, rel=0.15)
    (row,) = rejection_factors(signal, background, "poor").to_dict("records")
    assert (row["factor"], row["low"]) == (0, 0)
    assert row["high"] == pytest.approx(1.83 / 270, rel=0.15)
    (row,) = rejection_factors({"a": [1.0, 2.0], "b": [1.0, 2.0]}, {"a": [0.0, 0.5], "b": [0.0, 0.5]}, "a").to_dict(
        "records"
    )
    assert np.isnan(row["factor"])
    assert (row["low"], row["high"]) == (0, np.inf)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"reference": "third"}, "with third"),
        ({"efficiency": 0.0}, "efficiency is 0"),
        ({"efficiency": 90}, "efficiency is 90"),
        ({"n_replicas": 10}, "n_replicas is 10"),
        ({"weights": (None, [1.0])}, "hold 1 numbers"),
        ({"scores_signal": {"first": [1.0, 2.0], "second": [1.0]}}, r"scores of \[1, 2\] signal events"),
    ],
)
def test_what_cannot_be_compared_is_said(change, message):
    signal, background = toy(np.random.default_rng(8), 20, 30)
    arguments = {"scores_signal": signal, "scores_background": background, "reference": "first", **change}
    with pytest.raises(ValueError, match=message):
        rejection_factors(**arguments)
