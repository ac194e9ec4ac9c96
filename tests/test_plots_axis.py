"""Figures of the axis: what is drawn is what the tables hold, and what is missing is seen to be."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.axes import Axes

from ecalnb import plots
from ecalnb.metrics import fit_energy_resolution, gaussian_core, residuals_in_bins, resolution_ratios

EDGES = [5, 10, 20, 40, 100]


@pytest.fixture
def events() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(3)
    energy = rng.uniform(5, 40, 2000)  # none in the last bin
    residual = rng.normal(0.1, 3 / np.sqrt(energy))
    return energy, residual, 1.3 * residual


def test_points_are_those_of_the_table_and_crosses_those_it_has_not(ax: Axes, events) -> None:
    table = residuals_in_bins(events[0], events[1], EDGES)
    plots.resolution_points(ax, table, label="3D fit")
    points, _, (bars,) = ax.containers[0].lines
    assert points.get_ydata() == pytest.approx(table["resolution"][:3])
    assert points.get_xdata() == pytest.approx(np.sqrt(np.multiply(EDGES[:3], EDGES[1:4])))
    half = [np.ptp(segment[:, 1]) / 2 for segment in bars.get_segments()]
    assert half == pytest.approx(table["resolution_error"][:3])
    (cross,) = (line for line in ax.lines if line.get_marker() == "x")
    assert cross.get_xdata() == pytest.approx([np.sqrt(40 * 100)])
    assert ax.get_xlim() == (5, 100)


def test_biases_of_a_bounded_variable_are_on_a_linear_axis(ax: Axes, events) -> None:
    table = residuals_in_bins(events[0] - 20, events[1], [-15, 0, 20])
    plots.bias_points(ax, table, label="3D fit", shift=1)
    points = ax.containers[0].lines[0]
    assert points.get_ydata() == pytest.approx(table["bias"])
    assert points.get_xdata() == pytest.approx([-7.5 - 0.06 * 15, 10 - 0.06 * 20])
    assert ax.get_xscale() == "linear"


def test_a_histogram_shows_its_core_and_says_where_there_is_none(ax: Axes, events) -> None:
    residual = np.append(events[1][events[0] > 20], [np.nan, 50.0])
    core = gaussian_core(residual[:-2])
    plots.residual_histogram(ax, residual, unit="deg", label="3D fit")
    (curve,) = ax.lines
    assert [curve.get_xdata()[0], curve.get_xdata()[-1]] == pytest.approx([core.low, core.high], abs=0.05)
    width = np.diff(ax.patches[0].get_xy()[:, 0]).max()
    assert curve.get_ydata().max() == pytest.approx(len(residual) * width / core.sigma / np.sqrt(2 * np.pi), rel=0.1)
    label = ax.get_legend_handles_labels()[1][0]
    assert f"{core.sigma:.2f}" in label
    plots.residual_histogram(ax, np.append(np.zeros(100), [1.0] * 60), unit="deg", label="coarse")
    assert ax.get_legend_handles_labels()[1][-1].endswith("no Gaussian core")


def test_a_fit_is_drawn_with_its_terms(ax: Axes, events) -> None:
    table = residuals_in_bins(events[0], events[1], np.linspace(5, 40, 8))
    fit = fit_energy_resolution(table["mean"], table["resolution"], table["resolution_error"])
    (line,) = plots.resolution_curve(ax, fit, 5, 40, unit="deg", color="k")
    assert line.get_ydata() == pytest.approx(fit(line.get_xdata()))
    assert f"{fit.stochastic:.3f} ± {fit.errors['stochastic']:.3f}" in line.get_label()


def test_methods_keep_their_colours_above_and_below(events) -> None:
    energy, *both = events
    residuals = dict(zip(("shower_fit_3d", "network"), both, strict=True))
    tables = {name: residuals_in_bins(energy, values, EDGES) for name, values in residuals.items()}
    ratios = resolution_ratios(energy, residuals, "shower_fit_3d", EDGES)
    fig, panels = plt.subplots(2, 1, sharex=True)
    plots.resolution_with_ratio(panels, tables, ratios, reference="shower_fit_3d")
    fig.canvas.draw()
    assert panels[0].get_legend_handles_labels()[1] == ["3D fit", "network"]
    (lower,) = panels[1].containers
    assert lower.lines[0].get_ydata() == pytest.approx([1.3] * 3)
    assert lower.lines[0].get_color() == panels[0].containers[1].lines[0].get_color()
    plt.close(fig)
