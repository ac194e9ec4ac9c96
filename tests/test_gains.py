"""Rejection by method: against the rejections of the single runs, and how often a gain is called one."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm

from ecalnb.metrics import METHOD_COLUMNS, MatchedSample, rejection_by_method, rejection_curve

SHIFTS = {"source_only": 2.0, "same": 2.0, "better": 2.8, "worse": 1.3}


def toy(seed, n=1500, m=4000, shifts=SHIFTS, seeds=(1, 2, 3)):
    """Scores of methods with several seeds, which share most of what they see of each event."""
    rng = np.random.default_rng(seed)
    label = np.repeat(["electron", "proton"], [n, m])
    table = pd.DataFrame({"label": label, "en3d": rng.uniform(10, 100, n + m), "split": "test", "weight": 1.0})
    common = rng.normal(size=n + m)
    rows = []
    for method, shift in shifts.items():
        for number in seeds:
            run = f"{method}.{number}"
            table[run] = 0.8 * common + 0.6 * rng.normal(size=n + m) + np.where(label == "electron", shift, 0)
            rows.append({"run": run, "method": method, "seed": number})
    return pd.DataFrame(rows), table


def test_rejection_is_that_of_the_mean_misidentified_fraction():
    runs, scores = toy(1)
    table = rejection_by_method(runs, scores, [(10, 100)], [0.8, 0.9], n_replicas=100)
    assert list(table) == list(METHOD_COLUMNS)
    assert len(table) == 8
    sample = MatchedSample.from_scores(scores, 10, 100)
    for row in table.to_dict("records"):
        fractions = [
            1 / rejection_curve(sample.electrons[run], sample.protons[run], [row["efficiency"]], sample.weights)
            ["rejection"][0] for run in runs[runs["method"] == row["method"]]["run"]
        ]  # fmt: skip
        assert row["rejection"] == pytest.approx(1 / np.mean(fractions))
        assert row["low_total"] < row["rejection"] < row["high_total"]


def test_gains_and_losses_are_told_and_a_method_that_is_the_same_gains_nothing():
    runs, scores = toy(2)
    table = rejection_by_method(runs, scores, [(10, 100)], [0.8], n_replicas=300).set_index("method")
    assert table["verdict"].to_dict() == {"source_only": "", "same": "none", "better": "gain", "worse": "loss"}
    threshold = {name: shift - norm.isf(1 - 0.8) for name, shift in SHIFTS.items()}
    for name in ("better", "worse"):
        truth = norm.sf(threshold["source_only"]) / norm.sf(threshold[name])
        assert table.loc[name, "gain"] == pytest.approx(truth, rel=0.25)
        assert table.loc[name, "gain_low"] < truth * 1.15
        assert table.loc[name, "gain_high"] > truth * 0.85


def test_a_gain_within_the_spread_is_called_none():
    """Methods that are the same: the wide interval leaves out 1 about as rarely as it says, also with two seeds."""
    called = 0
    for trial in range(25):
        runs, scores = toy(trial + 10, 300, 1000, {"source_only": 2.0, "same": 2.0}, (1, 2))
        table = rejection_by_method(runs, scores, [(10, 100)], [0.8], n_replicas=100).set_index("method")
        called += table.loc["same", "verdict"] != "none"
    assert called <= 5  # 1.25 are expected; more than 5 with a chance of 0.2 %


def test_windows_with_few_events_are_left_out():
    runs, scores = toy(3)
    table = rejection_by_method(runs, scores, [(10, 40), (40, 100), (100, 200)], n_replicas=100)
    assert set(zip(table["energy_low"], table["energy_high"], strict=True)) == {(10, 40), (40, 100)}
    with pytest.raises(ValueError, match="no window of"):
        rejection_by_method(runs, scores, [(100, 200)])
    with pytest.raises(ValueError, match="the reference is 'none'"):
        rejection_by_method(runs, scores, [(10, 100)], reference="none")


def test_a_limit_has_no_gain():
    runs, scores = toy(4, 200, 60, {"source_only": 30.0, "same": 30.0}, (1, 2))
    table = rejection_by_method(runs, scores, [(10, 100)], n_replicas=100).set_index("method")
    assert table["is_limit"].all()
    assert np.isinf(table["high_total"]).all()
    assert np.isnan(table.loc["same", "gain"])
    assert table.loc["same", "verdict"] == ""
