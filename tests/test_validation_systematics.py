"""Rejections with the same thresholds on several samples of protons, and their ratios."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from ecalnb.simulation import simulate
from ecalnb.validation import (
    ValidationError,
    compare_rejections,
    core_shares,
    crossed_rejections,
    hadronic_changes,
    rejection_ratios,
)

WINDOW = (5.0, 100.0)


def table(n, mean, seed, **columns):
    rng = np.random.default_rng(seed)
    return pd.DataFrame({"en3d": rng.uniform(6, 90, n), "net": rng.normal(mean, 1, n), **columns})


@pytest.fixture
def electrons():
    return table(4000, 2.0, 1)


def test_all_samples_have_the_same_thresholds_and_their_own_rejection(electrons):
    protons = {"one": table(3000, 0.0, 2), "other": table(3000, 0.5, 3)}
    compared = compare_rejections(electrons, protons, ["net"], [0.8, 0.9], WINDOW).set_index(["sample", "efficiency"])
    np.testing.assert_array_equal(compared.loc["one", "threshold"], compared.loc["other", "threshold"])
    for name, mean in (("one", 0.0), ("other", 0.5)):
        at_90 = compared.loc[name, 0.9]
        expected = 1 / stats.norm.sf(at_90["threshold"], mean)
        assert at_90["low_total"] < expected * 1.1
        assert at_90["high_total"] > expected / 1.1


def test_halves_of_a_weight_are_as_good_as_the_whole_for_the_value(electrons):
    protons = table(2000, 0.5, 4)
    twice = pd.concat([protons, protons]).assign(weight=0.5)
    compared = compare_rejections(electrons, {"plain": protons, "weighted": twice}, ["net"], [0.9], WINDOW)
    assert compared["rejection"].iloc[0] == pytest.approx(compared["rejection"].iloc[1])


def test_ratio_and_its_interval_are_those_of_two_counts(electrons):
    protons = {"reference": table(3000, 0.0, 5), "sample": table(1500, 0.3, 6)}
    compared = compare_rejections(electrons, protons, ["net"], [0.9], WINDOW)
    (row,) = rejection_ratios(compared, "reference").to_dict("records")
    threshold = compared["threshold"].iloc[0]
    k_reference, k = (int((sample["net"] >= threshold).sum()) for sample in protons.values())
    assert (row["passed_reference"], row["passed"]) == pytest.approx((k_reference, k))
    assert row["ratio"] == pytest.approx((k_reference / 3000) / (k / 1500))
    # The ends are where the binomial tails have 16 %: ratio r, probability of the reference r / (r + 1/2).
    total = k_reference + k
    low, high = (bound / (bound + 0.5) for bound in (row["low"], row["high"]))
    assert stats.binom.sf(k_reference - 1, total, low) == pytest.approx(0.16, rel=1e-6)
    assert stats.binom.cdf(k_reference, total, high) == pytest.approx(0.16, rel=1e-6)


def test_ratio_without_any_proton_that_passes_is_not_known(electrons):
    nothing = {"reference": table(300, -9.0, 7), "sample": table(300, -9.0, 8)}
    (row,) = rejection_ratios(compare_rejections(electrons, nothing, ["net"], [0.9], WINDOW), "reference").to_dict(
        "records"
    )
    assert np.isnan(row["ratio"])
    assert (row["low"], row["high"]) == (0, np.inf)


def test_electrons_themselves_pass_the_cut_on_the_core_as_asked():
    events = simulate("electron", 400, energy=(10, 60), detector="ideal", seed=1)
    heavy = simulate("electron", 400, energy=(10, 60), detector="ideal", seed=1)
    heavy.table["weight"] = 3.0
    shares = core_shares(events, {"plain": events, "weighted": heavy}, WINDOW, [0.1, 0.5])
    np.testing.assert_allclose(shares["share"], [0.9, 0.5] * 2, atol=0.01)
    np.testing.assert_allclose(shares["low"].iloc[:2], shares["low"].iloc[2:])
    assert ((shares["low"] < shares["share"]) & (shares["share"] < shares["high"])).all()


def test_bad_input(electrons):
    with pytest.raises(ValidationError, match="there are no samples of protons"):
        compare_rejections(electrons, {}, ["net"], [0.9], WINDOW)
    with pytest.raises(ValidationError, match="there are no protons of 'far' with 5 <= en3d < 100 GeV"):
        compare_rejections(electrons, {"far": electrons.assign(en3d=500.0)}, ["net"], [0.9], WINDOW)
    compared = compare_rejections(electrons, {"one": electrons}, ["net"], [0.9], WINDOW)
    with pytest.raises(ValidationError, match="there is no sample 'two'; expected one of one"):
        rejection_ratios(compared, "two")


def test_importance_sampling_has_the_coverage_of_its_intervals(electrons):
    # Nine tenths of the protons cannot pass, and one in fifty of those is there, with weight 50.
    threshold = compare_rejections(electrons, {"one": electrons}, ["net"], [0.9], WINDOW)["threshold"].iloc[0]
    truth = 1 / (0.1 * stats.norm.sf(threshold, -1.5))
    covered = 0
    for seed in range(60):
        heavy = table(np.random.default_rng(seed).binomial(9_000, 0.02), -9.0, seed, weight=50.0)
        light = table(1_000, -1.5, 1000 + seed, weight=1.0)
        (row,) = compare_rejections(electrons, {"both": pd.concat([heavy, light])}, ["net"], [0.9], WINDOW).to_dict(
            "records"
        )
        covered += row["low"] < truth < row["high"]
        if row["n_passed"]:
            assert row["n_effective"] / row["rejection"] == pytest.approx(row["n_passed"], rel=0.2)
    # 68 % at least; discrete counts cover more.
    assert 0.6 < covered / 60 <= 1


def physics_lists(electrons, shift):
    """Scores of one model, trained twice: the second training says of all protons that they are `shift` higher."""
    electrons = electrons.assign(**{"net.A": electrons["net"], "net.B": electrons["net"]})
    protons = {name: table(4000, mean, seed) for name, mean, seed in (("A", 0.0, 11), ("B", 0.4, 12))}
    return electrons, {
        name: sample.assign(**{"net.A": sample["net"], "net.B": sample["net"] + shift})
        for name, sample in protons.items()
    }


def test_trained_and_tested_on_physics_lists_are_told_apart(electrons):
    electrons, protons = physics_lists(electrons, -0.3)
    crossed = crossed_rejections(electrons, protons, ["net"], [0.8], WINDOW).set_index(["trained", "sample"])
    assert set(crossed.index) == {(trained, tested) for trained in "AB" for tested in "AB"}
    for (trained, tested), row in crossed.iterrows():
        passed = (protons[tested][f"net.{trained}"] >= row["threshold"]).sum()
        assert row["rejection"] == pytest.approx(len(protons[tested]) / passed)


def test_change_of_rejection_with_test_and_training_sample(electrons):
    electrons, protons = physics_lists(electrons, -0.3)
    changes = hadronic_changes(electrons, protons, ["net"], [0.8], WINDOW).set_index("what")
    crossed = crossed_rejections(electrons, protons, ["net"], [0.8], WINDOW).set_index(["trained", "sample"])[
        "rejection"
    ]
    assert len(changes) == 4
    for fixed in "AB":
        tested = changes.loc[f"tested on B / A (trained on {fixed})"]
        assert tested["ratio"] == pytest.approx(crossed[fixed, "B"] / crossed[fixed, "A"])
        assert tested["high"] < 1  # protons of B are more like electrons
        # Electrons are not weighted to the protons' spectrum here, which moves the threshold a little.
        trained = changes.loc[f"trained on B / A (tested on {fixed})"]
        assert trained["ratio"] == pytest.approx(crossed["B", fixed] / crossed["A", fixed], rel=0.1)
        assert trained["low"] > 1


def test_two_physics_lists_are_needed(electrons):
    with pytest.raises(ValueError, match="expected two physics lists"):
        hadronic_changes(electrons, {"A": electrons}, ["net"], [0.9], WINDOW)
