"""Rejections with weights, in bins of energy, and of bad input."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ecalnb.metrics import REJECTION_COLUMNS, clopper_pearson, rejection_curve, rejection_in_bins


def test_equal_weights_change_nothing():
    rng = np.random.default_rng(4)
    signal, background = rng.normal(2, 1, 777).round(2), rng.normal(-2, 1, 5001).round(2)
    plain = rejection_curve(signal, background)
    for value in (1.0, 0.1, 1e6 / 3):
        weighted = rejection_curve(
            signal, background, weights=(np.full(len(signal), value), np.full(len(background), value))
        )
        for column in REJECTION_COLUMNS:
            assert weighted[column].to_numpy() == pytest.approx(plain[column].to_numpy(), rel=1e-6), column


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.integers(-3, 3), st.integers(0, 4)), min_size=1, max_size=20),
    st.lists(st.tuples(st.integers(-3, 3), st.integers(0, 4)), min_size=1, max_size=20),
    st.integers(1, 100),
)
def test_whole_weights_are_repeated_events(signal, background, percent):
    (s, ws), (b, wb) = (np.array(sample, dtype=float).T for sample in (signal, background))
    if not ws.any() or not wb.any():
        with pytest.raises(ValueError, match="all weights of the"):
            rejection_curve(s, b, [percent / 100], weights=(ws, wb))
        return
    weighted = rejection_curve(s, b, [percent / 100], weights=(ws, wb)).iloc[0]
    repeated = rejection_curve(np.repeat(s, ws.astype(int)), np.repeat(b, wb.astype(int)), [percent / 100]).iloc[0]
    for column in ("threshold", "efficiency_achieved", "rejection", "is_limit"):
        assert weighted[column] == pytest.approx(repeated[column])
    # Repeated events know less than as many different ones.
    assert weighted["n_effective"] <= repeated["n_effective"] * (1 + 1e-9)
    assert weighted["low"] <= repeated["low"] * (1 + 1e-9)


@pytest.mark.parametrize("heavy_pass", [True, False])
def test_coverage_with_weights(heavy_pass):
    # One proton in twenty has 20 times the weight of the others; the heavy or the light ones pass more easily.
    rng = np.random.default_rng(9)
    chances = (0.05, 0.001) if heavy_pass else (0.001, 0.02)
    truth = (chances[0] * 0.05 * 20 + chances[1] * 0.95) / (0.05 * 20 + 0.95)
    inside, inside_plain, estimates = [], [], []
    for _ in range(600):
        heavy = rng.random(3000) < 0.05
        passed = (rng.random(3000) < np.where(heavy, *chances)).astype(float)
        weights = np.where(heavy, 20.0, 1.0)
        row = rejection_curve(np.ones(10), passed, [0.9], weights=(None, weights)).iloc[0]
        assert row["rejection"] == pytest.approx(weights.sum() / weights[passed > 0].sum())
        estimates.append(1 / row["rejection"])
        inside.append(row["low"] <= 1 / truth <= row["high"])
        n_effective = weights.sum() ** 2 / (weights**2).sum()
        low, high = clopper_pearson(n_effective / row["rejection"], n_effective)
        inside_plain.append(low <= truth <= high)
    slack = 3 * np.sqrt(0.68 * 0.32 / 600)
    assert np.mean(estimates) == pytest.approx(truth, abs=4 * np.std(estimates) / np.sqrt(600))
    assert np.mean(inside) >= 0.68 - slack
    if heavy_pass:  # the effective number of all events would promise too much
        assert np.mean(inside_plain) < 0.68 - slack


def test_weighted_electrons_move_the_threshold():
    rng = np.random.default_rng(11)
    energy = rng.uniform(1, 10, 20_000)
    signal = rng.normal(energy, 1)  # high energies are easier
    background = rng.normal(0, 1, 20_000)
    weighted = rejection_curve(signal, background, [0.9], weights=(energy**-2, None)).iloc[0]
    drawn = rng.choice(signal, 20_000, p=energy**-2 / (energy**-2).sum())
    same = rejection_curve(drawn, background, [0.9]).iloc[0]
    assert weighted["threshold"] == pytest.approx(same["threshold"], abs=0.1)
    assert weighted["threshold"] < rejection_curve(signal, background, [0.9])["threshold"][0] - 0.5
    # Weights of very different sizes are worth fewer events: the threshold is less certain.
    assert weighted["threshold_high"] - weighted["threshold_low"] > same["threshold_high"] - same["threshold_low"]


def test_coverage_of_the_threshold_with_weighted_electrons():
    # The electrons that fail are the heavy ones: 1 in 10, with 9 times the weight, always below the light ones.
    rng = np.random.default_rng(13)
    inside = []
    for _ in range(600):
        heavy = rng.random(4000) < 0.1
        signal = np.where(heavy, rng.uniform(-1, 0, 4000), rng.uniform(0, 1, 4000))
        weights = np.where(heavy, 9.0, 1.0)
        row = rejection_curve(signal, np.zeros(10), [0.75], weights=(weights, None)).iloc[0]
        # Half of the weight is below 0, evenly from -1: three quarters are above -0.5.
        inside.append(row["threshold_low"] <= -0.5 <= row["threshold_high"])
    assert np.mean(inside) >= 0.68 - 3 * np.sqrt(0.68 * 0.32 / 600)


def binned_sample(seed=5, n=6000):
    rng = np.random.default_rng(seed)
    energy_signal, energy_background = rng.uniform(0, 40, n), rng.uniform(0, 40, 2 * n)
    return rng.normal(energy_signal / 10, 1), energy_signal, rng.normal(-1, 1, 2 * n).round(1), energy_background


EDGES = [5, 10, 20, 30.0]


def test_threshold_of_each_bin_is_the_curve_of_that_bin():
    s, es, b, eb = binned_sample()
    table = rejection_in_bins(s, es, b, eb, EDGES, 0.9)
    assert table["energy_low"].tolist() == [5, 10, 20]
    for row in table.itertuples():
        curve = rejection_curve(
            s[(es >= row.energy_low) & (es < row.energy_high)],
            b[(eb >= row.energy_low) & (eb < row.energy_high)],
            [0.9],
        ).iloc[0]
        for column in REJECTION_COLUMNS:
            assert getattr(row, column) == pytest.approx(curve[column]), column
    assert table.attrs["n_outside_signal"] == np.count_nonzero((es < 5) | (es > 30))
    assert table.attrs["n_outside_background"] == np.count_nonzero((eb < 5) | (eb > 30))


def test_global_threshold_is_that_of_all_electrons_inside():
    s, es, b, eb = binned_sample()
    table = rejection_in_bins(s, es, b, eb, EDGES, 0.9, threshold="global")
    threshold = rejection_curve(s[(es >= 5) & (es <= 30)], b, [0.9])["threshold"][0]
    assert (table["threshold"] == threshold).all()
    for row in table.itertuples():
        electrons = s[(es >= row.energy_low) & (es < row.energy_high)]
        protons = b[(eb >= row.energy_low) & (eb < row.energy_high)]
        assert row.efficiency_achieved == pytest.approx((electrons >= threshold).mean())
        assert row.n_passed == (protons >= threshold).sum()
    assert table["efficiency_achieved"].is_monotonic_increasing  # harder at low energy, where one threshold costs more


def test_bins_with_few_events_keep_their_counts_and_get_no_rejection():
    s, es, b, eb = binned_sample(n=500)
    table = rejection_in_bins(s, es, b, eb, [10, 20, 20.5, 50, 60], 0.9, min_count=30)
    assert table["rejection"].isna().tolist() == [False, True, False, True]
    assert table["n_signal"].tolist() == np.histogram(es, [10, 20, 20.5, 50, 60])[0].tolist()
    assert table["n_background"].tolist() == np.histogram(eb, [10, 20, 20.5, 50, 60])[0].tolist()
    assert table.loc[1, ["low", "high", "low_total", "threshold", "n_passed"]].isna().all()
    assert table["is_limit"].dtype == bool
    assert not table["is_limit"][1]


def test_several_efficiencies_are_several_tables():
    s, es, b, eb = binned_sample()
    both = rejection_in_bins(s, es, b, eb, EDGES, [0.9, 0.6])
    assert both["efficiency"].tolist() == [0.9] * 3 + [0.6] * 3
    for number, efficiency in enumerate((0.9, 0.6)):
        own = both.iloc[3 * number : 3 * number + 3].reset_index(drop=True)
        pd.testing.assert_frame_equal(own, rejection_in_bins(s, es, b, eb, EDGES, efficiency))


def test_bins_with_few_events_can_be_merged():
    s, es, b, eb = binned_sample(n=500)
    table = rejection_in_bins(s, es, b, eb, [10, 10.5, 20, 30, 30.2], 0.9, min_count=30, few="merge")
    assert table[["energy_low", "energy_high"]].to_numpy().tolist() == [[10, 20], [20, 30.2]]
    expected = rejection_in_bins(s, es, b, eb, [10, 20, 30.2], 0.9, min_count=30)
    pd.testing.assert_frame_equal(table, expected)
    # Where even all bins together have too few, there is still no rejection.
    alone = rejection_in_bins(s, es, b, eb, [10, 10.1, 10.2], 0.9, min_count=30, few="merge")
    assert len(alone) == 1
    assert alone["rejection"].isna().all()


def test_global_threshold_can_be_that_of_a_window():
    s, es, b, eb = binned_sample()
    table = rejection_in_bins(s, es, b, eb, [20, 30, 40], 0.9, threshold="global", window=(5, 20))
    inside = (es >= 5) & (es < 20)
    assert (table["threshold"] == rejection_curve(s[inside], b, [0.9])["threshold"][0]).all()
    assert (table["efficiency_achieved"] > 0.9).all()  # scores rise with the energy


def test_last_bin_holds_its_upper_edge():
    table = rejection_in_bins([1.0] * 3, [10, 20, 30], [0.0] * 3, [5, 10, 30], [10, 20, 30], 0.9, min_count=1)
    assert table["n_signal"].tolist() == [1, 2]
    assert table["n_background"].tolist() == [1, 1]


def test_weights_in_bins():
    s, es, b, eb = binned_sample()
    table = rejection_in_bins(s, es, b, eb, [5, 30], 0.9, weights=(es, eb))
    inside_s, inside_b = (es >= 5) & (es <= 30), (eb >= 5) & (eb <= 30)
    curve = rejection_curve(s[inside_s], b[inside_b], [0.9], weights=(es[inside_s], eb[inside_b]))
    for column in REJECTION_COLUMNS:
        assert table[column][0] == pytest.approx(curve[column][0]), column


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([], [1.0]), "no scores of the signal"),
        (([1.0], []), "no scores of the background"),
        (([1.0, np.nan], [1.0]), "1 of 2 scores of the signal are NaN, the first at position 1"),
        (([1.0], [np.nan, 1.0, np.nan]), "2 of 3 scores of the background are NaN, the first at position 0"),
        ((["a"], [1.0]), "expected numbers"),
        (([[1.0]], [1.0]), r"shape \(1, 1\)"),
        (([1.0], [1.0], [0.0]), r"efficiency 0 .* above 0 and up to 1"),
        (([1.0], [1.0], [0.5, 90]), r"efficiency 90 .*0\.9, not 90"),
        (([1.0], [1.0], [np.nan]), "efficiencies are NaN"),
        (([1.0], [1.0], []), "no efficiencies"),
        (([1.0], [1.0], [0.5], [1.0]), "expected the pair"),
        (([1.0], [1.0], [0.5], np.ones(2)), "expected the pair"),
        (([1.0], [1.0], [0.5], ([1.0, 1.0], None)), "weights of the signal hold 2 numbers; expected 1"),
        (([1.0], [1.0], [0.5], (None, [-1.0])), "a weight of the background is -1"),
        (([1.0], [1.0], [0.5], (None, [np.inf])), "a weight of the background is inf"),
        (([1.0], [1.0], [0.5], (None, [np.nan])), "1 of 1 weights of the background are NaN"),
        (([1.0], [1.0], [0.5], (None, [0.0])), "all weights of the background are zero"),
        (([1.0], [1.0], [0.5], None, 68), "level is 68"),
    ],
)
def test_bad_input_gets_one_clear_sentence(arguments, message):
    with pytest.raises(ValueError, match=message) as error:
        rejection_curve(*arguments)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"edges": [10]}, "two or more rising"),
        ({"edges": [10, 10]}, "two or more rising"),
        ({"edges": [100, 200], "threshold": "global"}, "no electron is inside 100 to 200 GeV"),
        ({"energy_signal": [1.0]}, "energies of the signal hold 1 numbers; expected 3"),
        ({"energy_background": [np.nan, 1, 1]}, "energies of the background are NaN"),
        ({"efficiency": 1.5}, "above 0 and up to 1"),
        ({"threshold": "each"}, "'per_bin' or 'global'"),
        ({"few": "drop"}, "'leave_out' or 'merge'"),
        ({"window": (1, 2)}, "expected threshold='global'"),
        ({"window": (7, 8), "threshold": "global"}, "no electron is inside 7 to 8 GeV"),
        ({"min_count": 0}, "at least 1 event"),
        ({"scores_signal": [], "energy_signal": []}, "no scores of the signal"),
    ],
)
def test_bad_bins_get_one_clear_sentence(change, message):
    good = {"scores_signal": [1, 2, 3], "energy_signal": [1, 2, 3], "scores_background": [1, 2, 3]}
    good |= {"energy_background": [1, 2, 3], "edges": [0, 2, 4], "efficiency": 0.5}
    with pytest.raises(ValueError, match=message):
        rejection_in_bins(**(good | change))
