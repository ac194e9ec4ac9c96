"""Figures: axes with units, the right numbers in the right places, the same bytes every time."""

from __future__ import annotations

import logging

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib import pyplot as plt

from ecalnb import plots
from ecalnb.datasets import load_datasets


def make_figure():
    with plt.style.context(plots.style()):
        fig, axes = plt.subplots()
        rng = np.random.default_rng(0)
        plots.spectrum(axes, rng.lognormal(3, 1, 500), plots.log_edges(1, 1000), label="electron")
        momentum = rng.lognormal(3, 1, 500)
        plots.source_label(axes, "Geant4 simulation", "1 < en3d < 1000 GeV")
        axes.legend()
        fig.text(0.5, 0.5, f"{momentum.mean():.3f}")
    return fig


def test_saved_figures_are_the_same_bytes_twice(tmp_path):
    first = [path.read_bytes() for path in plots.save(make_figure(), "a", tmp_path / "first")]
    second = [path.read_bytes() for path in plots.save(make_figure(), "a", tmp_path / "second")]
    plt.close("all")
    assert first == second
    assert first[0].startswith(b"\x89PNG")
    assert b"<svg" in first[1]


def test_saved_figures_carry_no_date(tmp_path):
    png, svg = plots.save(make_figure(), "a", tmp_path)
    plt.close("all")
    assert "dc:date" not in svg.read_text("utf-8")
    assert b"tIME" not in png.read_bytes()


def test_the_style_is_in_force_only_where_it_is_used():
    before = dict(mpl.rcParams)
    with plt.style.context(plots.style()):
        assert mpl.rcParams["svg.hashsalt"] == "ecalnb"
        assert mpl.rcParams["xtick.direction"] == "in"
    assert dict(mpl.rcParams) == before


def test_species_keep_their_colours():
    assert plots.color_of("electron") != plots.color_of("proton")
    assert plots.color_of("electron") == plots.color_of("electron", "red")
    assert plots.color_of("nobody", "red") == "red"


def test_source_text_names_the_simulation():
    assert plots.source_text("mc", "Geant4 11.4.1 (FTFP_BERT), explicit fibres") == "Geant4 simulation"
    assert plots.source_text("mc") == "Simulation"
    assert plots.source_text("flight") == "AMS flight data"
    assert plots.source_text(load_datasets()["geant4_sample"]) == "Geant4 simulation"


@pytest.mark.parametrize(("low", "high"), [(0.1, 400), (5, 100), (1, 10), (3.7, 3.8)])
def test_log_edges_cover_the_range_with_equal_steps(low, high):
    edges = plots.log_edges(low, high, 8)
    np.testing.assert_allclose(np.diff(np.log10(edges)), 1 / 8)
    assert edges[0] <= low * (1 + 1e-9) < edges[1] * (1 + 1e-9)
    assert edges[-2] * (1 - 1e-9) < high <= edges[-1] * (1 + 1e-9)


@pytest.mark.parametrize(("low", "high"), [(0, 1), (2, 1), (-1, 1)])
def test_log_edges_of_no_range_are_refused(low, high):
    with pytest.raises(ValueError, match="expected 0 < low < high"):
        plots.log_edges(low, high)


def test_spectrum_counts_and_labels(ax):
    artists = plots.spectrum(ax, [2.0, 3.0, 20.0], [1, 10, 100], label="proton")
    np.testing.assert_array_equal(artists[0].get_data().values, [2, 1])
    assert ax.get_xlabel() == "reconstructed energy en3d [GeV]"
    assert ax.get_ylabel() == "events per bin"
    assert (ax.get_xscale(), ax.get_yscale()) == ("log", "log")
    assert mpl.colors.same_color(artists[0].get_edgecolor(), plots.color_of("proton"))


def test_weighted_spectrum_says_so(ax):
    artists = plots.spectrum(ax, [2.0, 3.0, 20.0], [1, 10, 100], weights=[1.0, 0.5, 4.0])
    np.testing.assert_allclose(artists[0].get_data().values, [1.5, 4])
    assert "weighted" in ax.get_ylabel()


def test_spectrum_errors_are_poisson_intervals(ax):
    """100 events: the central 68 % interval of Garwood is 90.0 to 111.0 (the usual table); weights scale it."""
    for weight in (1.0, 3.0):
        ax.clear()
        artists = plots.spectrum(ax, np.full(100, 2.0), [1, 10], weights=np.full(100, weight))
        (segment,) = artists[1].get_segments()
        np.testing.assert_allclose(segment[:, 1], [90.02 * weight, 111.03 * weight], rtol=2e-3)


def test_events_outside_the_axes_are_reported(ax, caplog):
    with caplog.at_level(logging.WARNING):
        plots.spectrum(ax, [0.5, 2.0, 200.0], [1, 10, 100], label="proton")
        plots.energy_momentum(ax, [2.0, 5000], [2.0, 2.0], momentum_edges=[1, 10, 100], energy_edges=[1, 10])
    assert "proton: 2 of 3 events lie outside" in caplog.text
    assert "1 of 2 events lie outside" in caplog.text


def test_energy_momentum_has_momentum_along_x(ax):
    mesh = plots.energy_momentum(ax, [50.0], [3.0], momentum_edges=[1, 10, 100], energy_edges=[1, 5, 10, 20])
    counts = mesh.get_array()
    assert counts.shape == (3, 2)  # energy is the vertical axis
    assert counts[0, 1] == 1
    assert counts.sum() == 1
    assert ax.get_xlabel() == "generated momentum $p$ [GeV]"
    assert ax.get_ylabel() == "reconstructed energy en3d [GeV]"
