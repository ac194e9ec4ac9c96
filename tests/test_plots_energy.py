"""Figures against the energy: what is drawn is what the tables hold."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes

from ecalnb import plots
from ecalnb.metrics import rejection_in_bins, score_profile


@pytest.fixture
def events() -> tuple[np.ndarray, ...]:
    rng = np.random.default_rng(1)
    energy = rng.uniform(10, 40, (2, 3000))
    return rng.normal(2, 1, 3000), energy[0], rng.normal(0, 1, 3000), energy[1]


def test_profile_draws_median_and_bands(ax: Axes, events: tuple[np.ndarray, ...]) -> None:
    table = score_profile(events[0], events[1], [10, 20, 40, 50])
    plots.score_profile(ax, table, "electron")
    medians = ax.containers[0].lines[0].get_ydata()
    assert medians == pytest.approx(table["median"].to_numpy()[:2])  # the empty bin has no point
    band = ax.collections[0].get_paths()[0].vertices[:, 1]
    assert [band.min(), band.max()] == pytest.approx([table[0.025].min(), table[0.975].max()])
    assert ax.get_xscale() == "log"


def test_efficiencies_are_drawn_in_percent_with_their_intervals(ax: Axes, events: tuple[np.ndarray, ...]) -> None:
    table = rejection_in_bins(*events, [10, 20, 30, 40], 0.9, threshold="global")
    plots.efficiency_in_bins(ax, table, label="CNN")
    points, _, (bars,) = ax.containers[0].lines
    assert points.get_ydata() == pytest.approx(100 * table["efficiency_achieved"])
    ends = np.array([segment[:, 1] for segment in bars.get_segments()])
    assert ends == pytest.approx(100 * table[["efficiency_low", "efficiency_high"]].to_numpy())
    assert ax.get_xlim() == (10, 40)
    assert ax.get_xscale() == "linear"


def test_correlations_are_rows_of_either_species(ax: Axes) -> None:
    columns = ["model", "efficiency", "electron", "electron_error", "proton", "proton_error"]
    rows = [
        ["ecal_cvt", 0.6, 0.1, 0.01, 0.2, 0.02],
        ["ecal_cvt", 0.9, 0.1, 0.01, 0.2, 0.02],
        ["own", 0.6, 0, 0.01, 0, 1],
    ]
    plots.correlation_rows(ax, pd.DataFrame(rows, columns=columns))
    assert [label.get_text() for label in ax.get_yticklabels()] == ["CvT", "own"]
    assert [container.lines[0].get_xdata().tolist() for container in ax.containers] == [[0.1, 0], [0.2, 0]]


def test_interval_without_an_upper_end_leaves_the_axes(ax: Axes) -> None:
    """A rejection that rests on one proton has a bar to the top, not none."""
    rng = np.random.default_rng(3)
    table = rejection_in_bins(
        rng.normal(6, 1, 60), [15.0] * 60, [*rng.normal(0, 1, 99), 9], [15.0] * 100, [10, 20], 0.9
    )
    assert not np.isfinite(table.assign(high_total=np.inf)["high_total"]).any()
    plots.rejection_in_bins(ax, table.assign(high_total=np.inf))
    ends = np.concatenate([segment for bars in ax.containers[0].lines[2] for segment in bars.get_segments()])
    assert np.isfinite(ends).all()
    assert ends[:, 1].max() > ax.get_ylim()[1]


def test_model_together_with_energy_over_momentum_has_both_names() -> None:
    assert plots.model_style("ecal_cvt+energy_momentum")["label"] == "CvT + E/p"
    assert plots.model_style("energy_momentum")["label"] == "E/p"
    assert plots.model_style("ecal_cvt+energy_momentum")["color"] == plots.model_style("ecal_cvt")["color"]
