"""Rejection against the number of training events: toys with a known power law, seeds, weights and limits."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm

from ecalnb.metrics import DataEfficiency, ensemble_gain, rejection_against_events, rejection_curve, roc_auc
from ecalnb.metrics.data_efficiency import FIT_COLUMNS, POINT_COLUMNS

EVENTS = [100, 400, 1600, 6400]


def toy(exponent=0.5, spread=0.2, seeds=3, n=1000, m=8000, seed=1, scale=10.0):
    """Trainings whose true rejection at 90 % is scale (N / 100)^exponent times a factor of each seed."""
    rng = np.random.default_rng(seed)
    electrons, protons = rng.normal(size=n), rng.normal(size=m)
    rows, signal, background = [], {}, {}
    for events in EVENTS:
        for number in range(seeds):
            rejection = scale * (events / 100) ** exponent * np.exp(rng.normal(0, spread))
            shift = norm.isf(1 / rejection) - norm.isf(0.9)
            name = f"toy.{events}.seed{number}"
            rows.append([name, "toy", events, number])
            # Half of what a training sees of an event is its own.
            signal[name] = np.sqrt(0.5) * (electrons + rng.normal(size=n)) + shift
            background[name] = np.sqrt(0.5) * (protons + rng.normal(size=m))
    return pd.DataFrame(rows, columns=["run", "model", "events", "seed"]), signal, background


def test_points_are_means_over_the_seeds():
    runs, signal, background = toy()
    result = rejection_against_events(runs, signal, background, n_replicas=200)
    assert list(result.points) == list(POINT_COLUMNS)
    assert list(result.fits) == list(FIT_COLUMNS)
    for row in result.points.to_dict("records"):
        names = [f"toy.{row['events']}.seed{number}" for number in range(3)]
        each = [rejection_curve(signal[name], background[name], [0.9])["rejection"][0] for name in names]
        assert row["rejection"] == pytest.approx(1 / np.mean(1 / np.array(each)))
        assert row["spread"] == pytest.approx(np.std(1 / np.array(each), ddof=1) * row["rejection"])
        assert row["low"] < row["rejection"] < row["high"]
    first = result.runs.iloc[0]
    assert first["auc"] == roc_auc(signal[first["run"]], background[first["run"]]).value


def test_a_power_law_is_found_with_its_error():
    pulls, chi2 = [], []
    for seed in range(25):
        (fit,) = rejection_against_events(*toy(seed=seed), n_replicas=100).fits.to_dict("records")
        pulls.append((fit["exponent"] - 0.5) / fit["exponent_error"])
        chi2.append(fit["chi2"])
    assert abs(np.mean(pulls)) < 4 / np.sqrt(25)
    assert np.std(pulls) == pytest.approx(1, abs=4 / np.sqrt(50))
    assert np.mean(chi2) == pytest.approx(2, abs=4 * 2 / np.sqrt(25))  # two degrees of freedom


def test_intervals_of_the_points_hold_the_spread_of_the_seeds():
    def widths(spread):
        points = rejection_against_events(*toy(spread=spread, seeds=5), n_replicas=300).points
        return np.log(points["high"] / points["low"]) / 2, points["spread"]

    (statistical, _), (total, spread) = widths(0.0), widths(0.6)
    expected = np.hypot(statistical, spread / np.sqrt(5))
    assert (total / expected).mean() == pytest.approx(1, abs=0.3)
    assert total.mean() > 1.5 * statistical.mean()


def test_what_is_no_power_law_is_said():
    runs, signal, background = toy(spread=0.02)
    for number in range(3):  # the largest sample is worth no more than the smallest
        for scores in (signal, background):
            scores[f"toy.6400.seed{number}"] = scores[f"toy.100.seed{number}"]
    (fit,) = rejection_against_events(runs, signal, background, n_replicas=200).fits.to_dict("records")
    assert fit["p_value"] < 1e-3


def test_weighted_events_are_worth_those_drawn_from_their_spectrum():
    """Protons with a flat spectrum and weights that fall, and protons drawn from the falling spectrum."""
    rng = np.random.default_rng(3)
    runs = pd.DataFrame({"run": ["a", "b"], "model": "toy", "events": [10, 100], "seed": 1})

    def protons(energy):
        return {name: shift + energy + rng.normal(size=len(energy)) for name, shift in (("a", 0.0), ("b", -0.5))}

    flat, drawn = rng.uniform(0, 2, 20_000), 2 * rng.beta(1, 2, 20_000)
    signal = {name: rng.normal(3, 1, 5000) for name in "ab"}
    weighted = rejection_against_events(runs, signal, protons(flat), weights=(None, 2 - flat), n_replicas=100)
    counted = rejection_against_events(runs, signal, protons(drawn), n_replicas=100)
    naive = rejection_against_events(runs, signal, protons(flat), n_replicas=100)
    for table, value, low, high in (("points", "rejection", "low", "high"), ("runs", "auc", "auc_low", "auc_high")):
        first, second, third = (getattr(result, table) for result in (weighted, counted, naive))
        error = np.hypot(first[high] - first[low], second[high] - second[low]) / 2
        assert (abs(first[value] - second[value]) < 3 * error).all()
        assert (abs(third[value] - second[value]) > 5 * error).all()
    gains = [
        ensemble_gain(signal, protons(energy), ["a", "b"], weights=(None, w), n_replicas=200)
        for energy, w in ((flat, 2 - flat), (drawn, None))
    ]
    assert gains[0].factor == pytest.approx(gains[1].factor, rel=0.15)


def test_no_proton_left_is_a_limit_and_not_fitted():
    runs, signal, background = toy(m=300, scale=1e7, exponent=0)
    result = rejection_against_events(runs, signal, background, n_replicas=100)
    assert result.points["is_limit"].all()
    assert np.isinf(result.points["rejection"]).all()
    assert result.points["low"].between(100, 131).all()  # 300 / 2.3, less what the threshold adds
    assert result.fits.empty


@pytest.mark.parametrize("arguments", [{}, {"m": 300, "scale": 1e7, "exponent": 0, "seeds": 1}])
def test_results_survive_json(arguments):
    runs, signal, background = toy(**arguments)
    result = rejection_against_events(runs.assign(path="/somewhere"), signal, background, n_replicas=100)
    again = DataEfficiency.from_dict(json.loads(json.dumps(result.to_dict(), allow_nan=False)))
    pd.testing.assert_frame_equal(again.runs, result.runs.drop(columns="path"), check_dtype=False)
    pd.testing.assert_frame_equal(again.points, result.points, check_dtype=False)
    pd.testing.assert_frame_equal(again.fits, result.fits, check_dtype=False)


def test_of_few_protons_the_interval_is_no_narrower_than_the_exact_one():
    result = rejection_against_events(*toy(m=300, scale=150, exponent=0, spread=0, seeds=1), n_replicas=200)
    both = result.points.merge(result.runs, on=["model", "events"], suffixes=("", "_run"))
    few = both[(both["passed"] < 5) & ~both["is_limit"]]
    assert len(few)
    assert (few["low"] <= few["low_run"]).all()
    assert (few["high"] >= few["high_run"]).all()


def test_where_none_may_be_left_the_interval_is_open():
    open_ends = 0
    for seed in range(12):
        points = rejection_against_events(*toy(seeds=1, n=40, m=60, scale=20, seed=seed), n_replicas=100).points
        passed = points[~points["is_limit"]]
        assert (passed["low"] <= passed["rejection"]).all()
        assert (passed["rejection"] <= passed["high"]).all()
        open_ends += int(np.isinf(passed["high"]).sum())
    assert open_ends > 0


def test_one_seed_makes_points_without_a_spread_and_no_fit():
    result = rejection_against_events(*toy(seeds=1), n_replicas=100)
    assert result.points["spread"].isna().all()
    assert result.fits.empty


def test_an_ensemble_of_independent_members_gains():
    rng = np.random.default_rng(7)
    names = ["a", "b", "c"]
    signal = {name: rng.normal(2, 1, 2000) for name in names}
    background = {name: rng.normal(0, 1, 20_000) for name in names}
    gain = ensemble_gain(signal, background, names, 0.8, n_replicas=200)
    single = norm.sf(2 + norm.isf(0.8))
    mean = norm.sf((2 + norm.isf(0.8) / np.sqrt(3)) * np.sqrt(3))  # the mean is narrower by the root of three
    assert gain.low < gain.factor < gain.high
    assert gain.factor == pytest.approx(single / mean, rel=0.25)
    same = ensemble_gain({"a": signal["a"], "b": signal["a"]}, {"a": background["a"], "b": background["a"]}, ["a", "b"])
    assert (same.factor, same.low, same.high) == (1, 1, 1)


def test_an_ensemble_that_no_proton_passes_has_a_lower_bound():
    signal = {"a": np.linspace(5, 6, 100), "b": np.linspace(5, 6, 100)}
    background = {"a": np.append(np.full(99, -5.0), 5.8), "b": np.full(100, -5.0)}
    gain = ensemble_gain(signal, background, ["a", "b"])
    assert gain.factor == gain.high == np.inf
    assert 1 <= gain.low < np.inf


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"runs": pd.DataFrame({"run": ["x"]})}, "no column model, events, seed"),
        ({"n_replicas": 5}, "n_replicas is 5"),
        ({"scores_signal": {}}, "no scores of the run 'toy.100.seed0'"),
        ({"level": 2.0}, "level is 2.0"),
    ],
)
def test_what_makes_no_sense_is_refused(change, message):
    runs, signal, background = toy(seeds=1, m=100)
    arguments = {"runs": runs, "scores_signal": signal, "scores_background": background, **change}
    with pytest.raises(ValueError, match=message):
        rejection_against_events(**arguments)


def test_two_runs_of_the_same_kind_are_refused():
    runs, signal, background = toy(seeds=1, m=100)
    with pytest.raises(ValueError, match="not one for each"):
        rejection_against_events(pd.concat([runs, runs]), signal, background)
    with pytest.raises(ValueError, match="1 members"):
        ensemble_gain(signal, background, ["toy.100.seed0"])
