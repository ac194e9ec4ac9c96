"""Figures of calibration and of rejection against training events: what they show and where."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy.special import logit

from ecalnb import plots
from ecalnb.metrics import reliability


def points():
    columns = ["events", "rejection", "low", "high", "is_limit"]
    rows = [[100, 10.0, 8.0, 12.0, False], [1000, 100.0, 60.0, 200.0, False], [10_000, np.inf, 500.0, np.inf, True]]
    return pd.DataFrame(rows, columns=columns)


def test_points_the_law_and_a_limit_are_drawn(ax):
    fit = pd.DataFrame([{"rejection": 100.0, "reference_events": 1000.0, "exponent": 1.0}])
    plots.rejection_against_events(ax, points(), fit, label="CNN", color="red")
    (container,) = ax.containers
    data, _, (bars,) = container.lines[0], container.lines[1], container.lines[2]
    np.testing.assert_allclose(data.get_xydata(), [[100, 10], [1000, 100], [10_000, 500]])
    ends = [segment[:, 1] for segment in bars.get_segments()]
    np.testing.assert_allclose(ends[:2], [[8, 12], [60, 200]])
    law = ax.lines[-1].get_xydata()
    np.testing.assert_allclose(law[:, 1], law[:, 0] / 10)
    assert (ax.get_xscale(), ax.get_yscale()) == ("log", "log")
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("training events", "proton rejection")


def test_earlier_points_are_open_and_models_stand_beside_each_other(ax):
    for shift in (0, 2):
        plots.rejection_against_events(ax, points().iloc[:2], color="red", earlier=shift == 2, shift=shift)
    first, second = (container.lines[0] for container in ax.containers)
    assert (first.get_markerfacecolor(), second.get_markerfacecolor()) == ("red", "white")
    assert (second.get_xdata() > first.get_xdata()).all()


def test_a_reliability_curve_has_logit_axes(ax):
    rng = np.random.default_rng(1)
    table = reliability(rng.normal(2, 2, 3000), rng.normal(-2, 2, 3000), [0, 0.01, 0.3, 0.7, 0.99, 1])
    plots.reliability(ax, table, label="CNN")
    (drawn, _) = ax.lines
    np.testing.assert_allclose(drawn.get_xdata(), logit(table["predicted"]))
    np.testing.assert_allclose(drawn.get_ydata(), logit(table["observed"]))
    assert [tick.get_text() for tick in ax.get_xticklabels()] == ["0.001", "0.01", "0.1", "0.5", "0.9", "0.99", "0.999"]


def test_a_bin_with_one_species_has_a_bar_and_no_point(ax):
    table = reliability([4.0, 4.1, 0.1], [-4.0, -4.1, 0.2], [0, 0.1, 0.9, 1])
    plots.reliability(ax, table)
    assert len(ax.lines[0].get_xdata()) == 1
    assert len(ax.collections[0].get_segments()) == 3
