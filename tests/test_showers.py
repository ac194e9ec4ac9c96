import numpy as np
import pandas as pd
import pytest

from ecalnb.geometry import AMS
from ecalnb.showers import Showers


def test_sums_of_cells(showers):
    images = showers.images.astype(float)
    np.testing.assert_allclose(showers.energies, np.einsum("nlc->n", images))
    np.testing.assert_allclose(showers.layer_energies, np.einsum("nlc->nl", images))


def test_sums_are_in_double_precision():
    image = np.zeros((1, 18, 72), np.float32)
    image[0, 0, 0] = 2.0**24
    image[0, 0, 1:] = 1.0  # in float32, 2^24 + 1 is 2^24
    showers = Showers(image, pd.DataFrame({"en3d": [1.0]}))
    assert showers.energies[0] == 2.0**24 + 71


def test_images_are_float32_and_the_index_is_reset():
    showers = Showers(np.ones((2, 18, 72)), pd.DataFrame({"en3d": [1.0, 2.0]}, index=[7, 9]))
    assert showers.images.dtype == np.float32
    assert showers.table.index.tolist() == [0, 1]


@pytest.mark.parametrize("shape", [(3, 72, 18), (3, 1296), (18, 72)])
def test_images_of_another_shape_are_refused(shape):
    with pytest.raises(ValueError, match=r"AMS-02 ECAL needs \(n, 18, 72\)"):
        Showers(np.zeros(shape), pd.DataFrame({"en3d": np.zeros(shape[0])}))


def test_images_and_rows_must_agree_in_number():
    with pytest.raises(ValueError, match="3 images do not go with 2 table rows"):
        Showers(np.zeros((3, 18, 72)), pd.DataFrame({"en3d": [1.0, 2.0]}))


@pytest.mark.parametrize(
    "events", [[3, 0, 3], slice(2, 9, 3), np.arange(20) % 2 == 0, pd.Series([True] * 5 + [False] * 15)]
)
def test_choosing_keeps_images_and_rows_together(showers, events):
    chosen = showers[events]
    entries = chosen.table["entry"].to_numpy()
    assert (chosen.images == showers.images[entries]).all()
    assert entries.tolist() == np.arange(20)[np.asarray(events) if not isinstance(events, slice) else events].tolist()


def test_one_event_by_number_is_ambiguous(showers):
    with pytest.raises(TypeError, match=r"showers\[\[3\]\]"):
        showers[3]


def test_select_by_a_function_of_the_table(showers):
    chosen = showers.select(lambda table: table["entry"] >= 15)
    assert chosen.table["entry"].tolist() == [15, 16, 17, 18, 19]


def test_batches_and_concatenation_are_inverse(showers):
    batches = list(showers.batches(7))
    assert [len(batch) for batch in batches] == [7, 7, 6]
    again = Showers.concatenate(batches)
    assert (again.images == showers.images).all()
    pd.testing.assert_frame_equal(again.table, showers.table)


def test_concatenation_fills_missing_columns_and_keeps_common_metadata(make_showers):
    electrons, protons = make_showers(3), make_showers(2, label="proton")
    protons.table = protons.table.drop(columns="momentum")
    electrons.metadata, protons.metadata = {"schema": "ams", "file": "a"}, {"schema": "ams", "file": "b"}
    both = Showers.concatenate([electrons, protons])
    assert both.table["momentum"].isna().tolist() == [False] * 3 + [True] * 2
    assert both.metadata == {"schema": "ams"}
    assert "3 electron" in repr(both)
    assert "2 proton" in repr(both)


def test_concatenation_of_nothing_or_of_different_calorimeters_is_refused(make_showers):
    with pytest.raises(ValueError, match="no showers"):
        Showers.concatenate([])
    with pytest.raises(ValueError, match="cannot mix"):
        Showers.concatenate([make_showers(2), make_showers(2, geometry=AMS.swap_views())])


def test_tracks_are_those_of_the_table(showers):
    tracks = showers.tracks
    np.testing.assert_array_equal(tracks.x, showers.table["track_x"].to_numpy(dtype=float))
    np.testing.assert_array_equal(tracks.azimuth, showers.table["track_azimuth"].to_numpy(dtype=float))


def test_repr_without_labels(showers):
    showers.table = showers.table.drop(columns="label")
    assert repr(showers) == "<Showers: 20 events in AMS-02 ECAL (no labels)>"
