"""Views and profiles: is everything drawn where the geometry says it is?"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt

from ecalnb import display
from ecalnb.geometry import AMS, Calorimeter, Tracks
from ecalnb.showers import Showers


def make_showers(images, *, x=0.0, y=0.0, inclination=0.0, azimuth=0.0, geometry=AMS, **columns):
    n = len(images)
    table = pd.DataFrame(
        {
            "track_x": np.full(n, x),
            "track_y": np.full(n, y),
            "track_inclination": np.full(n, inclination),
            "track_azimuth": np.full(n, azimuth),
            **columns,
        }
    )
    return Showers(np.asarray(images), table, geometry)


def one_cell(layer, cell, energy=1.0, geometry=AMS):
    image = np.zeros(geometry.shape, dtype=np.float32)
    image[layer, cell] = energy
    return image


def along_track(track, geometry=AMS, energy=1.0):
    """Return an image with the same energy in each layer, in the cell that the track goes through."""
    image = np.zeros(geometry.shape, dtype=np.float32)
    image[np.arange(geometry.n_layers), geometry.cell_at(geometry.project(track))[0].astype(int)] = energy
    return image


@pytest.mark.parametrize(("layer", "cell", "view"), [(2, 0, "x"), (15, 71, "x"), (0, 36, "y"), (17, 10, "y")])
def test_a_cell_is_drawn_at_its_place_and_energy(ax, layer, cell, view):
    artists = display.view(ax, one_cell(layer, cell, 0.25), view)
    (path,) = artists.cells.get_paths()
    (left, top), (right, bottom) = path.vertices.min(axis=0), path.vertices.max(axis=0)
    assert (left, right) == (cell * 9.0 - 324, cell * 9.0 - 315)
    assert (top, bottom) == (layer * 9.25, (layer + 1) * 9.25)
    assert artists.cells.get_array().tolist() == pytest.approx([250])  # MeV


@pytest.mark.parametrize(("layer", "view"), [(2, "y"), (0, "x")])
def test_a_layer_of_the_other_view_is_not_drawn(ax, layer, view):
    assert len(display.view(ax, one_cell(layer, 5), view).cells.get_paths()) == 0


def test_swapped_views_show_the_other_layers(ax):
    assert len(display.view(ax, one_cell(2, 5), "y", AMS.swap_views()).cells.get_paths()) == 1


def test_layers_of_the_other_view_are_grey(ax):
    display.view(ax, np.zeros(AMS.shape), "x")
    grey = sorted(patch.get_y() / AMS.layer_thickness for patch in ax.patches)
    assert grey == pytest.approx([0, 1, 4, 5, 8, 9, 12, 13, 16, 17])


def test_axes_of_a_view_have_units_and_depth_goes_down(ax):
    display.view(ax, one_cell(2, 5), "x")
    assert ax.get_xlabel() == "x [mm]"
    assert ax.get_ylabel() == "depth [mm]"
    assert ax.get_ylim() == (166.5, 0)
    assert ax.get_xlim() == (-324, 324)
    ax.figure.canvas.draw()
    (right,) = ax.child_axes
    assert "X_0" in right.get_ylabel()
    assert right.get_ylim() == pytest.approx((17, 0))


def test_the_line_of_the_track_follows_the_track(ax):
    track = Tracks([10], [20], [np.arctan(0.5)], [np.pi / 2])  # moves along y only
    line = display.view(ax, one_cell(0, 40), "y", track=track).track
    np.testing.assert_allclose(line.get_xydata(), [[20, 0], [20 + 0.5 * 166.5, 166.5]])
    line = display.view(ax, one_cell(2, 40), "x", track=track).track
    np.testing.assert_allclose(line.get_xydata()[:, 0], 10)


@pytest.mark.parametrize(("x", "expected"), [(0, (-100, 100)), (300, (124, 324)), (-320, (-324, -124))])
def test_zoom_keeps_its_width_and_stays_inside(ax, x, expected):
    display.view(ax, one_cell(2, 40), "x", track=Tracks([x], [0], [0], [0]), half_width=100)
    assert ax.get_xlim() == pytest.approx(expected)


def test_zoom_without_a_track_finds_the_centre_of_gravity(ax):
    display.view(ax, one_cell(2, 45), "x", half_width=90)
    assert np.mean(ax.get_xlim()) == pytest.approx(45.5 * 9 - 324)


def test_an_image_of_another_calorimeter_is_refused(ax):
    with pytest.raises(ValueError, match=r"\(18, 71\).*AMS-02 ECAL needs \(18, 72\)"):
        display.view(ax, np.zeros((18, 71)), "x")


def test_two_tracks_or_a_negative_zoom_are_refused(ax):
    with pytest.raises(ValueError, match="2 tracks"):
        display.view(ax, np.zeros(AMS.shape), "x", track=Tracks([0, 1], [0, 1], [0, 0], [0, 0]))
    with pytest.raises(ValueError, match="half_width is -3"):
        display.view(ax, np.zeros(AMS.shape), "x", half_width=-3)


def test_another_calorimeter_is_drawn_to_its_own_size(ax):
    small = Calorimeter("small", ("x", "y"), 4, 20.0, 30.0, 10.0, 0.5)
    artists = display.view(ax, one_cell(0, 3, geometry=small), "x", small)
    assert ax.get_xlim() == (-40, 40)
    assert artists.cells.get_paths()[0].vertices.min(axis=0).tolist() == [20, 0]


def test_both_views_of_an_event_share_one_colour_scale_and_say_what_they_are():
    image = one_cell(2, 5, 1.0) + one_cell(0, 60, 20.0)
    showers = make_showers([image], label=["proton"], en3d=[21.0], momentum=[123.4])
    showers.metadata.update(kind="mc", simulation="Geant4 11.4.1 (FTFP_BERT)")
    fig = display.draw_event(showers, 0)
    views = [axes for axes in fig.axes if axes.get_ylabel() == "depth [mm]"]
    assert [axes.get_xlabel() for axes in views] == ["x [mm]", "y [mm]"]
    scales = [axes.collections[0].norm for axes in views]
    assert scales[0].vmax == scales[1].vmax == pytest.approx(20_000)
    assert any("[MeV]" in axes.get_ylabel() for axes in fig.axes)
    assert views[0].get_title("left") == "Geant4 simulation"
    for text in ("proton", "123 GeV", "21 GeV", "0"):
        assert text in views[0].get_title("right")
    plt.close(fig)


def test_an_event_without_a_track_or_energy_can_be_drawn():
    showers = Showers(np.zeros((1, *AMS.shape)), pd.DataFrame({"en3d": [0.0]}))
    fig = display.draw_event(showers, 0, half_width=50)
    assert len(fig.axes[0].lines) == 0
    plt.close(fig)
    with pytest.raises(IndexError, match="event 1 does not exist; there are 1"):
        display.draw_event(showers, 1)


def test_a_missing_track_is_not_drawn():
    fig = display.draw_event(make_showers([one_cell(0, 4)], x=np.nan), 0)
    assert len(fig.axes[0].lines) == 0
    plt.close(fig)


def test_longitudinal_profile_of_known_layers():
    images = np.zeros((2, *AMS.shape))
    images[0, 3, 10], images[0, 7, 10] = 1.0, 3.0
    images[1, 3, 20] = 2.0
    table = display.longitudinal(make_showers(images))
    assert table["mean"][3] == pytest.approx(1.5)
    assert table["mean"][7] == pytest.approx(1.5)
    # Two values 1 and 2: error of the mean = half their difference.
    assert table["error"][3] == pytest.approx(0.5)
    assert table["mean"].sum() == pytest.approx(images.sum() / 2)
    fraction = display.longitudinal(make_showers(images), fraction=True)
    assert fraction["mean"][3] == pytest.approx((0.25 + 1) / 2)
    assert fraction["mean"].sum() == pytest.approx(1)
    assert table["depth_x0"].to_numpy() == pytest.approx((np.arange(18) + 0.5) * 17 / 18)


def test_longitudinal_errors_and_spread_of_a_known_distribution():
    rng = np.random.default_rng(3)
    images = np.zeros((4000, *AMS.shape))
    images[:, 5, 30] = rng.normal(10, 2, 4000)
    row = display.longitudinal(make_showers(images)).iloc[5]
    assert row["error"] == pytest.approx(2 / np.sqrt(4000), rel=0.05)
    assert (row["low"], row["high"]) == pytest.approx((8, 12), abs=0.2)


def test_events_without_energy_do_not_count_in_fractions():
    images = np.stack([one_cell(4, 3), np.zeros(AMS.shape)])
    table = display.longitudinal(make_showers(images), fraction=True)
    assert table["n"].eq(1).all()
    assert table["mean"][4] == 1


def test_profiles_of_no_events_are_refused():
    empty = make_showers(np.zeros((0, *AMS.shape)))
    for profile in (display.longitudinal, display.lateral):
        with pytest.raises(ValueError, match="no events"):
            profile(empty)


@pytest.mark.parametrize("offset", [0, 1, -7])
def test_lateral_profile_of_a_delta_shower(offset):
    """All energy in one column of cells: its whole in the bin at that distance, nothing elsewhere."""
    track = Tracks([4.5], [4.5], [0], [0])  # the middle of cell 36 in both views
    image = np.zeros(AMS.shape)
    image[:, 36 + offset] = 2.0
    table = display.lateral(make_showers([image], x=track.x[0], y=track.y[0]))
    expected = np.zeros(25)
    expected[abs(offset)] = 1 / 9  # per mm
    np.testing.assert_allclose(table["mean"], expected, atol=1e-12)
    np.testing.assert_allclose(table["distance_low"], np.arange(25) * 9.0)


def test_lateral_profile_follows_an_inclined_track():
    track = Tracks([-40.0], [25.0], [0.4], [2.1])
    image = along_track(track)
    showers = make_showers([image], x=-40.0, y=25.0, inclination=0.4, azimuth=2.1)
    table = display.lateral(showers, edges=[0, 4.51, 300])
    assert table["mean"][0] * 4.51 == pytest.approx(1)  # no cell on the track is further away than half a pitch
    assert table["mean"][1] == 0


def test_lateral_profile_is_that_of_the_true_density_smeared_with_a_cell():
    """Exponential density, tracks anywhere in a cell: compare with the integral of the smeared density."""
    rng = np.random.default_rng(11)
    n, scale = 3000, 20.0
    x = rng.uniform(-100, 100, n)
    edges = AMS.cell_edges()
    cumulative = np.where(
        edges[None] < x[:, None],
        0.5 * np.exp(np.minimum(edges[None] - x[:, None], 0) / scale),
        1 - 0.5 * np.exp(-np.maximum(edges[None] - x[:, None], 0) / scale),
    )
    images = np.zeros((n, *AMS.shape))
    images[:, AMS.layers("x")] = np.diff(cumulative, axis=1)[:, None]
    showers = make_showers(images)
    showers.table["track_x"] = x
    borders = np.array([0, 10, 25, 50, 90])
    table = display.lateral(showers, edges=borders, view="x")
    u = np.linspace(-160, 160, 32001)
    smeared = np.convolve(np.exp(-abs(u) / scale) / (2 * scale), np.ones(901) / 901, mode="same")
    for low, high, mean, error in zip(borders, borders[1:], table["mean"], table["error"], strict=False):
        expected = smeared[(abs(u) >= low) & (abs(u) < high)].sum() * (u[1] - u[0]) / (high - low)
        assert mean == pytest.approx(expected, abs=4 * error + 1e-3 * expected)


def test_lateral_view_takes_only_its_layers():
    image = one_cell(2, 36) + one_cell(0, 46)  # x on the track, y far away
    showers = make_showers([image], x=4.5, y=4.5)
    assert display.lateral(showers, view="x")["mean"][0] == pytest.approx(1 / 9)
    assert display.lateral(showers, view="y")["mean"][10] == pytest.approx(1 / 9)


@pytest.mark.parametrize("edges", [[0], [5, 3], [-1, 4], [0, 0, 1]])
def test_edges_that_are_none_are_refused(edges):
    with pytest.raises(ValueError, match="edges are"):
        display.lateral(make_showers([one_cell(0, 0)]), edges=edges)


def test_residuals_of_a_shower_beside_its_track():
    track = Tracks([4.5], [4.5], [0.0], [0.0])
    image = np.roll(along_track(track), 2, axis=1)
    image[5] = 0
    residuals = display.residuals(make_showers([image], x=4.5, y=4.5))
    assert np.isnan(residuals[0, 5])
    np.testing.assert_allclose(np.delete(residuals[0], 5), 18)


def test_profile_figures_have_labels_with_units(ax):
    showers = make_showers([one_cell(3, 36), one_cell(4, 38, 2.0)], x=4.5, y=4.5)
    points = display.longitudinal_profile(ax, showers, label="electron").points
    assert "X_0" in ax.get_xlabel()
    assert "[MeV]" in ax.get_ylabel()
    assert points.lines[0].get_ydata()[4] == pytest.approx(1000)  # (0 + 2 GeV) / 2
    ax.clear()
    display.lateral_profile(ax, showers)
    assert ax.get_xlabel().endswith("[mm]")
    assert ax.get_ylabel().endswith("per mm")
    ax.clear()
    display.track_residuals(ax, showers)
    assert ax.get_ylabel().endswith("[mm]")
    assert len(ax.get_xticks()) == AMS.n_layers
