"""Residuals in bins, ratios of methods, and the error of a reference, against distributions that are known."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.stats import chi, norm

from ecalnb.geometry import Tracks
from ecalnb.metrics import (
    fit_energy_resolution,
    independent_ratios,
    residuals_in_bins,
    resolution_ratios,
    space_angles,
    without_reference,
)
from ecalnb.reconstruction import ShowerAxes, axis_residuals

EDGES = np.array([1.0, 3.0, 10.0, 30.0, 100.0])


def energies(n, rng):
    return np.exp(rng.uniform(0, np.log(100), n))


def test_space_angles_of_known_directions():
    np.testing.assert_allclose(space_angles(0, 0, np.tan(0.3), 0), 0.3)
    np.testing.assert_allclose(space_angles(1, 0, 0, 1), np.arccos(0.5))
    tiny = space_angles(0.2, 0.1, 0.2 + 1e-9, 0.1)
    assert tiny == pytest.approx(1e-9 * np.sqrt(1 + 0.1**2) / (1 + 0.05), rel=1e-6)


@pytest.mark.parametrize(("width", "factor"), [("core", 1.0), ("containment", norm.ppf(0.84))])
def test_widths_of_normal_residuals(width, factor, rng):
    """Both are sigma, but for 68 % not being 68.27 %; the pulls of many bins are of unit width."""
    pulls, biases = [], []
    for _ in range(12):
        e = energies(4000, rng)
        table = residuals_in_bins(e, rng.normal(0.3, 2.0, 4000), EDGES, width=width, n_bootstrap=100)
        pulls.append((table["resolution"] - factor * (2.0 if width == "core" else 1)) / table["resolution_error"])
        biases.append((table["bias"] - 0.3) / table["bias_error"])
    assert np.std(np.concatenate(biases)) == pytest.approx(1, abs=0.35)
    if width == "core":
        assert np.std(np.concatenate(pulls)) == pytest.approx(1, abs=0.35)
        assert abs(np.mean(np.concatenate(pulls))) < 0.6


def test_the_space_angle_of_two_normal_slopes_is_wider_by_a_known_factor(rng):
    x, y = rng.normal(0, 0.01, (2, 20_000))
    table = residuals_in_bins(np.ones(20_000), space_angles(x, y, 0, 0), [0.5, 1.5], width="containment")
    expected = 0.01 * chi(2).ppf(0.68)
    assert table["resolution"][0] == pytest.approx(expected, abs=4 * table["resolution_error"][0])
    assert table["resolution_error"][0] == pytest.approx(0.01 * 0.0062, rel=0.3)  # sqrt(p (1 - p) / n) / density


def test_the_resolution_follows_the_energy_that_it_was_made_with(rng):
    e = energies(20_000, rng)
    residuals = rng.normal(0, np.sqrt(3.0**2 / e + 0.5**2))
    table = residuals_in_bins(e, residuals, np.geomspace(1, 100, 16))
    fit = fit_energy_resolution(table["mean"], table["resolution"], table["resolution_error"])
    assert fit.stochastic == pytest.approx(3.0, abs=4 * fit.errors["stochastic"])
    assert fit.constant == pytest.approx(0.5, abs=4 * fit.errors["constant"])


def test_bins_without_a_resolution_say_why(rng):
    e = np.repeat([2.0, 5.0, 20.0, 50.0], 60)
    residuals = rng.normal(size=240)
    residuals[:20] = np.nan
    residuals[60:120] = 1.5
    table = residuals_in_bins(e, residuals, EDGES)
    assert table["n"].tolist() == [40, 60, 60, 60]
    assert table["n_undefined"].tolist() == [20, 0, 0, 0]
    assert table["reason"][0] == "40 events, fewer than 50"
    assert "have the same value" in table["reason"][1]
    assert table["resolution"].isna().tolist() == [True, True, False, False]
    with pytest.raises(ValueError, match="width is 'rms'"):
        residuals_in_bins(e, residuals, EDGES, width="rms")
    with pytest.raises(ValueError, match=r"residuals have shape \(3,\); expected \(240,\)"):
        residuals_in_bins(e, residuals[:3], EDGES)


def test_ratios_of_methods_that_saw_the_same_events(rng):
    """The true ratio within the errors, which the part that both have in common makes smaller."""
    pulls, paired = [], []
    for _ in range(25):
        e = energies(1200, rng)
        common = rng.normal(size=1200)
        residuals = {"a": common + rng.normal(0, 0.3, 1200), "b": 1.5 * (common + rng.normal(0, 0.3, 1200))}
        table = resolution_ratios(e, residuals, "b", EDGES, n_bootstrap=100)
        assert set(table["name"]) == {"a"}
        pulls.append((table["ratio"] - 1 / 1.5) / table["ratio_error"])
        paired.append(table["ratio_error"])
    assert np.std(np.concatenate(pulls)) == pytest.approx(1, abs=0.3)
    apart = np.sqrt(2) * 0.68**0.5 * 0.32**0.5 / np.sqrt(300) / (2 * norm.pdf(1)) / 1.5
    assert np.mean(paired) < 0.7 * apart


def test_events_that_one_method_misses_are_left_out_of_a_ratio(rng):
    e, a, b = np.full(100, 2.0), rng.normal(size=100), rng.normal(size=100)
    a[:10], b[5:20] = np.nan, np.nan
    table = resolution_ratios(e, {"a": a, "b": b}, "a", [1, 3, 10])
    assert table["n"].tolist() == [80, 0]
    assert table["n_missing"].tolist() == [20, 0]
    assert table["ratio"][0] == pytest.approx(np.quantile(abs(b[20:]), 0.68) / np.quantile(abs(a[20:]), 0.68))
    assert table["reason"].tolist() == ["", "0 events, fewer than 50"]
    with pytest.raises(ValueError, match="no residuals are named 'c'; expected one of a, b"):
        resolution_ratios(e, {"a": a, "b": b}, "c", [1, 3])


def test_the_error_of_the_reference_is_taken_out_in_quadrature(rng):
    e = np.full(20_000, 2.0)
    own, track = rng.normal(0, 0.8, 20_000), rng.normal(0, 0.6, 20_000)
    reference = residuals_in_bins(e, track, [1, 3, 4])
    table = without_reference(residuals_in_bins(e, own - track, [1, 3, 4]), reference)
    assert table["resolution"][0] == pytest.approx(0.8, abs=4 * table["resolution_error"][0])
    assert 0.004 < table["resolution_error"][0] < 0.02
    assert table["reason"].tolist() == ["", "0 events, fewer than 50"]
    worse = without_reference(reference, residuals_in_bins(e, own, [1, 3, 4]))
    assert worse["reason"][0] == "the reference is no better"
    with pytest.raises(ValueError, match="expected the same bins"):
        without_reference(reference, residuals_in_bins(e, own, [1, 3]))


def test_residuals_of_axes_are_those_of_their_tracks():
    truth = Tracks([10.0, 0.0], [5.0, 0.0], [0.2, 0.1], [0.0, np.pi / 2])
    axes = ShowerAxes(
        truth.x + 1, truth.y - 2, truth.slope_x + 0.01, truth.slope_y, *np.ones((4, 2)), quality=np.array([0, 4])
    )
    table = axis_residuals(axes, truth, depth=100.0)
    assert isinstance(table, pd.DataFrame)
    assert table["x"].tolist() == pytest.approx([1 + 0.01 * 100, np.nan], nan_ok=True)
    assert table["y"][0] == pytest.approx(-2)
    assert table["distance"][0] == pytest.approx(np.hypot(2, 2))
    assert table["inclination"][0] == pytest.approx(np.arctan(np.tan(0.2) + 0.01) - 0.2)
    assert table["space_angle"][0] == pytest.approx(table["angle_x"][0])
    assert table.loc[1].isna().all()
    with pytest.raises(ValueError, match="2 axes do not go with 1 tracks"):
        axis_residuals(axes, truth[:1])


def test_ratios_of_samples_that_share_no_event(rng):
    pulls = []
    for _ in range(25):
        tables = [residuals_in_bins(energies(1500, rng), rng.normal(0, s, 1500), EDGES) for s in (3.0, 2.0)]
        table = independent_ratios(*tables)
        pulls.append((table["ratio"] - 1.5) / table["ratio_error"])
    assert np.std(np.concatenate(pulls)) == pytest.approx(1, abs=0.3)
    with pytest.raises(ValueError, match="expected the same bins"):
        independent_ratios(tables[0], tables[1][:2])
