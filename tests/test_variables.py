"""Shower variables on images whose values are known."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm, skew

from ecalnb.geometry import AMS, Calorimeter, Tracks
from ecalnb.showers import Showers
from ecalnb.variables import (
    SHOWER_VARIABLES,
    core_fraction,
    crossing_probability,
    energy_near,
    first_layers_fraction,
    hit_cells,
    last_layers_fraction,
    lateral_rms,
    lateral_tail,
    longitudinal_moments,
    maximum_cell_fraction,
    mean_depth,
    mip_deposit,
    mip_like,
    neighbour_ratios,
    second_bump,
    shower_axis,
    shower_variables,
    start_layer,
    tail_fraction,
    track_matching,
)


def crossing(**track):
    """Return one event: 10 MeV in each layer, in the cell that the track goes through."""
    values = {"x": 12.0, "y": -40.0, "inclination": 0.3, "azimuth": 1.0, **track}
    cells = AMS.cell_at(AMS.project(Tracks(12.0, -40.0, 0.3, 1.0)))[0].astype(int)
    image = np.zeros((1, *AMS.shape))
    image[0, np.arange(AMS.n_layers), cells] = 0.010
    return Showers(image, pd.DataFrame({f"track_{name}": [value] for name, value in values.items()}))


def vertical(layers, lateral=(1.0,), cell=36, inclination=0.0):
    """Return one event: energies of the layers, each shared among cells about one that the track goes through."""
    image = np.zeros((1, *AMS.shape))
    first = cell - len(lateral) // 2
    image[0, :, first : first + len(lateral)] = np.outer(layers, np.array(lateral) / np.sum(lateral))
    position = float(AMS.cell_centers(cell))
    table = pd.DataFrame(
        {"track_x": [position], "track_y": [position], "track_inclination": [inclination], "track_azimuth": [0.0]}
    )
    return Showers(image, table)


# --- particles that cross ---


def test_a_track_of_small_deposits_is_mip_like():
    assert mip_like(crossing()).tolist() == [True]


@pytest.mark.parametrize(("cells", "expected"), [(6, True), (7, False)])
def test_cells_off_the_track_tell_an_interaction(cells, expected):
    event = crossing()
    event.images[0, 10, :cells] = 0.003
    assert mip_like(event).tolist() == [expected]
    event.images[0, 10, :cells] = 0.001  # below the threshold
    assert mip_like(event).tolist() == [True]


def test_cells_beside_the_track_do_not_count():
    event = crossing()
    event.images[0] += 0.3 * np.roll(event.images[0], 1, axis=1) + 0.3 * np.roll(event.images[0], -1, axis=1)
    assert mip_like(event).tolist() == [True]


def test_deposit_and_probability_of_a_crossing_follow_the_slant():
    np.testing.assert_allclose(mip_deposit(crossing()), 0.010 * np.cos(0.3), rtol=1e-6)
    np.testing.assert_allclose(crossing_probability(crossing()), np.exp(-0.63 / np.cos(0.3)), rtol=1e-12)
    assert np.isnan([mip_deposit(crossing(x=np.nan)), crossing_probability(crossing(x=np.nan))]).all()


def test_much_energy_is_not_mip_like():
    event = crossing()
    event.images *= 2.6  # 0.468 GeV
    assert mip_like(event).tolist() == [False]


def test_without_the_right_track_nothing_is_mip_like():
    assert mip_like(crossing(x=-200.0)).tolist() == [False]
    assert mip_like(crossing(x=np.nan)).tolist() == [False]


# --- longitudinal ---


def test_mean_depth_is_the_centre_of_gravity():
    event = crossing()
    assert mean_depth(event) == pytest.approx([8.5])  # the same energy in all layers: the middle of 17 X0
    event.images[0, :17] = 0
    assert mean_depth(event) == pytest.approx([17 * 17.5 / 18])
    event.images[:] = 0
    assert np.isnan(mean_depth(event)).all()


def test_moments_are_those_of_the_layer_energies_along_the_track(rng):
    layers = rng.exponential(1.0, 18)
    mean, spread, skewness = longitudinal_moments(vertical(layers, inclination=0.4))
    depth = np.repeat(AMS.layer_depths_x0 / np.cos(0.4), (1e4 * layers).astype(int))
    assert mean == pytest.approx([depth.mean()], rel=1e-3)
    assert spread == pytest.approx([depth.std()], rel=1e-3)
    assert skewness == pytest.approx([skew(depth)], abs=2e-3)


def test_energy_in_one_layer_has_no_skewness():
    mean, spread, skewness = longitudinal_moments(vertical(np.eye(18)[3]))
    assert (mean, spread) == pytest.approx((17 * 3.5 / 18, 0))
    assert np.isnan(skewness).all()


def test_fractions_of_first_and_last_layers():
    event = vertical(np.arange(18.0))
    assert first_layers_fraction(event) == pytest.approx([1 / 153])
    assert last_layers_fraction(event, 3) == pytest.approx([(15 + 16 + 17) / 153])
    with pytest.raises(ValueError, match="n_layers is 19"):
        last_layers_fraction(event, 19)


@pytest.mark.parametrize(
    ("layers", "expected"),
    [
        ([0.01] * 18, np.nan),  # never above 50 MeV
        ([0.01] * 4 + [0.2] * 14, 4),
        ([0.01, 0.3, 0.01, 0.01] + [0.2] * 14, 4),  # a delta electron, not a start
        ([0.01] * 17 + [0.3], 17),  # no layers behind it that must keep up
        ([0.01, 0.4, 0.4, 0.4] + [40.0] * 14, 4),  # 2 % of the peak, but at most 500 MeV
        ([0.01, 0.6, 0.6, 0.6] + [40.0] * 14, 1),
    ],
)
def test_shower_starts_where_the_energy_on_the_track_stays(layers, expected):
    np.testing.assert_equal(start_layer(vertical(layers)), [expected])


def test_energy_off_the_track_is_no_start():
    event = vertical([0.2] * 18)
    event.images = np.roll(event.images, 3, axis=2)
    assert np.isnan(start_layer(event)).all()


def test_second_bump_is_the_prominence_of_the_second_shower():
    bell = np.exp(-0.5 * ((np.arange(18) - 7) / 3) ** 2)
    assert second_bump(vertical(bell)) == [0]
    apart = np.zeros(18)
    apart[[3, 13]] = 2.0, 1.0
    assert second_bump(vertical(apart)) == pytest.approx([0.5])
    assert np.isnan(second_bump(vertical(np.zeros(18)))).all()


# --- lateral ---


def test_axis_of_a_straight_shower_is_found():
    track = Tracks(31.0, -77.0, 0.35, 2.1)
    position = AMS.project(track)[0][:, None]
    # A normal distribution, 12 mm wide, shared among cells exactly.
    image = np.diff(norm.cdf(AMS.cell_edges(), position, 12.0), axis=1)
    image[4, 5] += 0.3  # a fragment far away
    axis = shower_axis(Showers(image[None], pd.DataFrame(index=[0])))
    np.testing.assert_allclose(AMS.project(axis)[0], position[:, 0], atol=0.6)
    assert axis.inclination == pytest.approx([0.35], abs=0.01)
    assert axis.azimuth == pytest.approx([2.1], abs=0.02)


def test_track_is_matched_at_the_depth_of_the_energy():
    axis = Tracks(31.0, -77.0, 0.35, 2.1)
    image = np.diff(norm.cdf(AMS.cell_edges(), AMS.project(axis)[0][:, None], 12.0), axis=1)
    # The same line at the middle depth of the energy, but another direction: what is far from there does not count.
    depth = AMS.layer_depths.mean()
    track = Tracks(0.0, 0.0, 0.2, -1.0)
    x, y = (float(there) - depth * float(slope) for there, slope in zip(
        np.stack(axis.at(depth)).ravel(), (track.slope_x[0], track.slope_y[0]), strict=True))  # fmt: skip
    columns = {"track_x": x + 5.0, "track_y": y - 3.0, "track_inclination": 0.2, "track_azimuth": -1.0}
    dx, dy = track_matching(Showers(image[None], pd.DataFrame(columns, index=[0])))
    assert dx == pytest.approx([5.0], abs=0.7)
    assert dy == pytest.approx([-3.0], abs=0.7)


def test_axis_needs_two_layers_of_each_view():
    event = vertical(np.where(np.array(AMS.views) == "y", 1.0, 0.0))
    axis = shower_axis(event)
    assert np.isnan([axis.x, axis.y, axis.inclination, axis.azimuth]).all()


def test_core_and_tail_share_the_energy():
    event = vertical(np.ones(18), lateral=[1, 2, 10, 2, 1])
    assert core_fraction(event, 0) == pytest.approx([10 / 16])
    assert core_fraction(event, 1) == pytest.approx([14 / 16])
    assert core_fraction(event, 1, event.tracks) == pytest.approx([14 / 16])
    assert tail_fraction(event, 1) == pytest.approx([2 / 16])
    assert tail_fraction(event, 5) == pytest.approx([0], abs=1e-6)
    moved = event.tracks
    moved = Tracks(moved.x + 9, moved.y + 9, moved.inclination, moved.azimuth)
    assert core_fraction(event, 1, moved) == pytest.approx([13 / 16])
    with pytest.raises(ValueError, match="cells is -1"):
        core_fraction(event, -1)


def test_a_core_at_the_side_is_cut_by_it():
    event = vertical(np.ones(18), lateral=[1, 2, 1], cell=71 - 1)
    event.images[:, :, 71] = 0
    assert energy_near(event, event.tracks, 13.5).sum() == pytest.approx(13.5)


def test_axes_must_go_with_the_showers(showers):
    with pytest.raises(ValueError, match="3 axes for 20 showers"):
        energy_near(showers, showers[:3].tracks, 10.0)


def test_lateral_rms_is_that_of_the_cells():
    event = vertical(np.ones(18), lateral=[1, 2, 10, 2, 1])
    expected = 9.0 * np.sqrt((2 * 4 + 2 * 2) / 16)
    assert lateral_rms(event) == pytest.approx([expected])
    event.images[0, :6, 0] = 5.0  # further than 10 cells away
    assert lateral_rms(event, slice(0, 6), event.tracks) == pytest.approx([expected])
    event.images[0, :6] = 0
    assert np.isnan(lateral_rms(event, slice(0, 6))).all()


def test_lateral_tail_is_the_energy_away_from_the_track():
    event = crossing()
    assert lateral_tail(event, 4.51) == pytest.approx([0], abs=1e-6)
    event.images[0] += 0.25 * np.roll(event.images[0], 3, axis=1)  # a fifth of all, 22.5 to 31.5 mm away
    assert lateral_tail(event, 22) == pytest.approx([0.2])
    assert lateral_tail(event, 32) == pytest.approx([0], abs=1e-6)
    assert np.isnan(lateral_tail(crossing(x=np.nan), 5)).all()


def test_neighbour_ratios_and_counts():
    event = vertical(np.ones(18), lateral=[1, 2, 10, 2, 1])
    s1_s3, s3_s5 = neighbour_ratios(event)
    assert (s1_s3, s3_s5) == pytest.approx((10 / 14, 14 / 16))
    assert maximum_cell_fraction(event) == pytest.approx([10 / 16 / 18])
    assert hit_cells(event).tolist() == [90]
    assert hit_cells(event, 0.1).tolist() == [54]


# --- all together ---


def test_table_has_the_documented_columns_and_plain_functions_agree(sample):
    table = shower_variables(sample)
    assert list(table) == list(SHOWER_VARIABLES)
    assert len(SHOWER_VARIABLES) == 19
    assert {str(dtype) for dtype in table.dtypes} == {"float64"}
    np.testing.assert_array_equal(table["core_fraction"], core_fraction(sample))
    np.testing.assert_array_equal(table["track_fraction"], core_fraction(sample, 2, sample.tracks))
    np.testing.assert_array_equal(table["start_layer"], start_layer(sample))
    np.testing.assert_array_equal(table["lateral_rms_late"], lateral_rms(sample, slice(12, 18)))


def test_energy_near_agrees_with_numpy(sample):
    part = sample[::40]
    track = AMS.project(part.tracks)
    near = abs(AMS.cell_centers() - track[:, :, None]) <= 13.6
    np.testing.assert_allclose(energy_near(part, part.tracks, 13.6), (part.images * near).sum(axis=2), rtol=1e-5)


def test_variables_depend_neither_on_the_scale_of_the_energy_nor_on_batches(sample, monkeypatch):
    part = sample[::20]
    whole = shower_variables(part)
    monkeypatch.setattr("ecalnb.variables.table._BATCH", 7)
    pd.testing.assert_frame_equal(shower_variables(part), whole)
    doubled = Showers(2 * part.images, part.table)
    scaled = shower_variables(doubled)
    with_threshold = ["start_layer", "hit_cells", "longitudinal_chi2"]
    pd.testing.assert_frame_equal(
        scaled.drop(columns=with_threshold), whole.drop(columns=with_threshold), rtol=1e-4, atol=1e-9
    )


def test_variables_never_use_the_truth(sample):
    part = sample[::20]
    tracks = [column for column in part.table if column.startswith("track_")]
    blind = Showers(part.images, part.table[tracks])
    pd.testing.assert_frame_equal(shower_variables(blind), shower_variables(part))


def test_variables_tell_geant4_electrons_from_protons(sample):
    shower = sample[(sample.energies > 5) & (sample.energies < 100)]
    table, electron = shower_variables(shower), shower.table["label"] == "electron"
    medians = table.groupby(electron.to_numpy()).median()
    for name, sign in {"core_fraction": 1, "s3_s5": 1, "tail_fraction": -1, "shower_maximum": -1}.items():
        assert sign * (medians.loc[True, name] - medians.loc[False, name]) > 0
    # The track of the simulated events is the true one, so the shower's own axis lies on it.
    away = AMS.project(shower_axis(shower)) - AMS.project(shower.tracks)
    assert np.abs(away[electron, 5:12]).mean() < 1.5


def test_undefined_variables_are_nan():
    empty = shower_variables(vertical(np.zeros(18)))
    assert empty["hit_cells"].tolist() == [0]
    assert empty.drop(columns="hit_cells").isna().all(axis=None)
    lost = shower_variables(crossing(x=np.nan, inclination=np.nan))
    assert lost[["shower_maximum", "depth_mean", "start_layer", "track_fraction"]].isna().all(axis=None)
    assert lost[["core_fraction", "s1_s3", "second_bump"]].notna().all(axis=None)


def test_no_events_make_an_empty_table(sample):
    table = shower_variables(sample[:0])
    assert list(table) == list(SHOWER_VARIABLES)
    assert len(table) == 0


def test_another_calorimeter_is_another_geometry(make_showers):
    small = Calorimeter("toy", "xyxyxyxy", 20, 10.0, 20.0, 12.0, 1.0)
    rng = np.random.default_rng(1)
    table = make_showers(5).table.assign(track_x=0.0, track_y=0.0)
    image = rng.exponential(1.0, (5, *small.shape))
    variables = shower_variables(Showers(image, table, small))
    assert variables.drop(columns="start_layer").notna().all(axis=None)
