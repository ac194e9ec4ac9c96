from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from ecalnb.geometry import AMS, Calorimeter, Tracks

CALORIMETERS = st.builds(
    Calorimeter,
    name=st.just("toy"),
    views=st.lists(st.sampled_from(["x", "y"]), min_size=1, max_size=30),
    n_cells=st.integers(1, 100),
    cell_pitch=st.floats(0.5, 50),
    layer_thickness=st.floats(0.5, 50),
    radiation_lengths=st.floats(1, 40),
    interaction_lengths=st.floats(0.1, 3),
)


def test_ams_is_as_published():
    assert AMS.shape == (18, 72)
    assert AMS.width == 648
    assert AMS.thickness == 166.5
    assert AMS.layers("y").tolist() == [0, 1, 4, 5, 8, 9, 12, 13, 16, 17]
    assert AMS.layers("x").tolist() == [2, 3, 6, 7, 10, 11, 14, 15]
    assert AMS.layer_depths[0] == 4.625
    assert AMS.layer_depths[-1] == 166.5 - 4.625
    assert AMS.layer_depths_x0[-1] == pytest.approx(17 - 17 / 36)


def test_cells_of_ams():
    assert AMS.cell_centers()[[0, 35, 36, 71]].tolist() == [-319.5, -4.5, 4.5, 319.5]
    assert AMS.cell_at([-324, -315.0001, 0, 323.999]).tolist() == [0, 0, 36, 71]


@given(CALORIMETERS)
def test_cell_and_coordinate_are_inverse(calorimeter):
    cells = np.arange(calorimeter.n_cells)
    assert (calorimeter.cell_at(calorimeter.cell_centers(cells)) == cells).all()
    edges = calorimeter.cell_edges()
    np.testing.assert_allclose((edges[1:] + edges[:-1]) / 2, calorimeter.cell_centers(), atol=1e-9)


@given(CALORIMETERS, st.floats(-1, 1, exclude_min=True, exclude_max=True))
def test_cell_holds_its_coordinate(calorimeter, fraction):
    coordinate = fraction * calorimeter.width / 2
    cell = calorimeter.cell_at(coordinate)
    assume(not np.isnan(cell))  # rounding at the very edge
    assert abs(calorimeter.cell_centers(cell) - coordinate) <= calorimeter.cell_pitch * (0.5 + 1e-9)


@given(CALORIMETERS, st.floats(1e-6, 1e6), st.sampled_from([-1, 1]))
def test_outside_is_missing_never_the_edge_cell(calorimeter, distance, side):
    assert np.isnan(calorimeter.cell_at(side * (calorimeter.width / 2 * (1 + 1e-12) + distance)))
    assert np.isnan(calorimeter.cell_centers([-1, calorimeter.n_cells])).all()


def test_no_coordinate_is_no_cell():
    assert np.isnan(AMS.cell_at([np.nan, np.inf, -np.inf])).all()


def test_vertical_track_stays_where_it_is():
    track = Tracks(12.0, -34.0, 0.0, 0.0)
    projection = AMS.project(track)[0]
    assert (projection[AMS.layers("x")] == 12).all()
    assert (projection[AMS.layers("y")] == -34).all()
    assert AMS.path_length(track)[0].tolist() == [9.25] * 18


def test_inclined_track_by_hand():
    # 45 degrees in the x plane: it moves by its depth, and is longer by the square root of two.
    track = Tracks(-100.0, 20.0, np.pi / 4, 0.0)
    projection = AMS.project(track)[0]
    np.testing.assert_allclose(projection[2], -100 + 2.5 * 9.25)
    np.testing.assert_allclose(projection[0], 20)
    np.testing.assert_allclose(AMS.path_length(track), np.full((1, 18), 9.25 * np.sqrt(2)))


def test_direction_of_the_azimuth():
    x, y = Tracks(0.0, 0.0, [0.3, 0.3], [0.0, np.pi / 2]).at([0, 100])
    np.testing.assert_allclose(x[:, 1], [100 * np.tan(0.3), 0], atol=1e-9)
    np.testing.assert_allclose(y[:, 1], [0, 100 * np.tan(0.3)], atol=1e-9)


def test_vertical_track_outside_has_no_path():
    assert (AMS.path_length(Tracks([400.0, 0], [0, -324.1], 0.0, 0.0)) == 0).all()


def integrated_path(calorimeter: Calorimeter, track: Tracks, points: int) -> np.ndarray:
    """Path length in each layer by counting points of the track inside it."""
    depth = (np.arange(points) + 0.5) * calorimeter.thickness / points
    x, y = track.at(depth)
    inside = (abs(x[0]) <= calorimeter.width / 2) & (abs(y[0]) <= calorimeter.width / 2)
    length = calorimeter.thickness / points / np.cos(track.inclination[0])
    layer = (depth / calorimeter.layer_thickness).astype(int)
    return np.bincount(layer[inside], minlength=calorimeter.n_layers) * length


TALL = replace(AMS, n_cells=60, views=tuple("xyxxy"), layer_thickness=31.0)


@given(
    st.floats(-400, 400),
    st.floats(-400, 400),
    st.floats(0, 1.3),
    st.floats(-np.pi, np.pi),
    st.sampled_from([AMS, TALL]),
)
def test_path_length_is_the_integral_along_the_track(x, y, inclination, azimuth, calorimeter):
    track = Tracks(x, y, inclination, azimuth)
    points = 20_000
    expected = integrated_path(calorimeter, track, points)
    # A point more or less where the track enters or leaves a layer or the side.
    tolerance = 4 * calorimeter.thickness / points / np.cos(inclination)
    np.testing.assert_allclose(calorimeter.path_length(track)[0], expected, atol=tolerance)


def test_track_that_leaves_through_a_side():
    # Starts 10 mm from the side x = 324 and reaches it after 10 mm of depth.
    length = AMS.path_length(Tracks(314.0, 0.0, np.pi / 4, 0.0))[0]
    np.testing.assert_allclose(length[:3], [9.25 * np.sqrt(2), 0.75 * np.sqrt(2), 0], atol=1e-9)
    assert length.sum() == pytest.approx(10 * np.sqrt(2))


def test_missing_track_has_missing_values():
    tracks = Tracks([np.nan, 0.0], [0.0, 0.0], [0.1, np.nan], [0.0, 0.0])
    assert np.isnan(AMS.path_length(tracks)).all()
    assert np.isnan(AMS.project(tracks)[1]).all()


def test_swapped_views():
    swapped = AMS.swap_views()
    assert swapped.layers("x").tolist() == AMS.layers("y").tolist()
    assert swapped.swap_views() == AMS
    assert swapped != AMS
    track = Tracks(1.0, 2.0, 0.2, 0.3)
    mirrored = Tracks(2.0, 1.0, 0.2, np.pi / 2 - 0.3)
    np.testing.assert_allclose(swapped.project(track), AMS.project(mirrored))


def test_another_calorimeter_is_a_description():
    # The layers of the BGO calorimeter of DAMPE: 14 layers of 22 bars of 25 mm, crossed.
    dampe = Calorimeter("DAMPE BGO", tuple("xy" * 7), 22, 27.5, 29.0, 32.0, 1.6)
    assert dampe.shape == (14, 22)
    assert dampe.cell_at(0.1) == 11
    assert dampe.project(Tracks(1.0, 2.0, 0.0, 0.0))[0].tolist() == [1, 2] * 7


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"views": tuple("xz")}, "views of 'AMS-02 ECAL'"),
        ({"views": ()}, "views of"),
        ({"n_cells": 0}, "n_cells of 'AMS-02 ECAL' is 0"),
        ({"cell_pitch": -9.0}, "cell_pitch"),
        ({"layer_thickness": float("nan")}, "layer_thickness"),
    ],
)
def test_impossible_calorimeters_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        replace(AMS, **change)


def test_unknown_view_is_refused():
    with pytest.raises(ValueError, match="view 'z' is not one of"):
        AMS.layers("z")


@pytest.mark.parametrize("inclination", [-0.1, np.pi / 2, 2.8])
def test_upgoing_tracks_are_refused(inclination):
    with pytest.raises(ValueError, match="zenith angle is pi minus the inclination"):
        Tracks(0.0, 0.0, [0.1, inclination], 0.0)


def test_tracks_from_a_table():
    table = pd.DataFrame({"t_x": [1.0], "t_y": [2.0], "t_inclination": [0.3], "t_azimuth": [0.4]})
    track = Tracks.from_table(table, "t")
    assert (track.x[0], track.y[0], track.inclination[0], track.azimuth[0]) == (1.0, 2.0, 0.3, 0.4)
    with pytest.raises(KeyError, match="track_x, track_y"):
        Tracks.from_table(table)
