"""Ntuples that cannot be read as they stand, and writing them."""

import logging

import awkward as ak
import numpy as np
import pandas as pd
import pytest
import uproot
from toy_ntuples import vector

from ecalnb import ntuples, rootio
from ecalnb.rootio import RootError


@pytest.fixture
def bad_file(write_root, branches):
    """Six bad events: NaN, infinite, negative, NaN and negative, a large double, and no energy."""
    cells = branches["edep_cell"].astype(np.float64)
    cells[3, 100] = np.nan
    cells[8, 200] = np.inf
    cells[9, 300] = -0.5
    cells[20, 400:402] = [np.nan, -1]
    cells[21, 0] = 1e300  # finite, but not in float32
    cells[22, 0] = -0.0  # no offence
    energies = branches["en3d"].copy()
    energies[25] = np.nan
    return lambda **more: write_root(
        {**branches, "edep_cell": cells.astype(more.get("dtype", float)), "en3d": energies}
    )


@pytest.mark.filterwarnings("ignore:overflow encountered in cast:RuntimeWarning")
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("chunk", [30, 4])
def test_bad_events_are_rejected_counted_and_reported(bad_file, dtype, chunk, caplog):
    path = bad_file(dtype=dtype)
    parts = list(ntuples.iterate(path, chunk=chunk))
    entries = [entry for part in parts for entry in part.table["entry"]]
    assert entries == [entry for entry in range(30) if entry not in (3, 8, 9, 20, 21, 25)]
    assert all(np.isfinite(part.images).all() and (part.images >= 0).all() for part in parts)
    counts = pd.DataFrame([part.metadata["bad_cells"] for part in parts]).drop(columns="policy").sum().to_dict()
    expected = {"events": 30, "nan": 2, "infinite": 2, "negative": 2, "not_finite": 1, "rejected": 6, "zeroed": 0}
    assert counts == expected
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert "file.root: 2 events with NaN, 2 with infinite and 2 with negative cells" in record.message
    assert "6 events rejected" in record.message
    assert ntuples.read(path).metadata["bad_cells"] == {"policy": "reject", **expected}


def test_bad_cells_are_set_to_zero(bad_file, branches):
    showers = ntuples.read(bad_file(), bad_cells="zero")
    assert showers.table["entry"].tolist() == [entry for entry in range(30) if entry != 25]
    expected = branches["edep_cell"].copy()
    expected[[3, 8, 9, 20, 20, 21], [100, 200, 300, 400, 401, 0]] = 0
    expected[22, 0] = 0
    np.testing.assert_allclose(showers.images.reshape(29, -1), np.delete(expected, 25, axis=0) / 1000, rtol=1e-6)
    assert showers.metadata["bad_cells"]["zeroed"] == 6
    assert showers.metadata["bad_cells"]["rejected"] == 1


@pytest.mark.parametrize(
    ("entry_range", "message"),
    [
        ((0, None), r"entry 3: layer 1, cell 28 of 'edep_cell' is nan GeV"),
        ((4, None), r"entry 8: layer 2, cell 56 of 'edep_cell' is inf GeV"),
        (
            (9, None),
            r"entry 9: layer 4, cell 12 of 'edep_cell' is -0\.0005\d* GeV; expected a finite energy of 0 or more",
        ),
        ((22, None), r"entry 25: the column 'en3d' is nan; expected a finite number"),
    ],
)
def test_bad_event_stops_if_told(bad_file, entry_range, message):
    with pytest.raises(RootError, match=rf"file\.root: {message}"):
        ntuples.read(bad_file(), bad_cells="error", entry_range=entry_range)


def test_unknown_policy(write_root, branches):
    with pytest.raises(ValueError, match="bad_cells 'drop' is not one of 'reject', 'zero', 'error'"):
        ntuples.iterate(write_root(branches), bad_cells="drop")


def test_only_bad_events(write_root, branches):
    path = write_root({**branches, "en3d": np.full(30, np.nan)})
    with pytest.raises(RootError, match=r"there are no events in .*file\.root: .*30 events rejected"):
        ntuples.read(path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"edep_cell": None, "edep_cells": np.zeros((30, 1296))},
            "has no branch 'edep_cell'; did you mean 'edep_cells'",
        ),
        ({"en3d": None, "EN3D": np.ones(30)}, "has no branch 'en3d'; did you mean 'EN3D'"),
        ({"edep_cell": np.zeros((30, 1295))}, r"'edep_cell' has 1295 cells an event; expected 18 x 72 = 1296 \(AMS-02"),
        ({"edep_cell": np.zeros((30, 72, 18, 2))}, "'edep_cell' has 2592 cells"),
        ({"edep_cell": np.zeros(30)}, "'edep_cell' has 1 cells"),
        ({"edep_cell": np.zeros((30, 1296), np.int32)}, "'edep_cell' is of type .*i4; expected float or double"),
        (
            {"edep_cell": vector(np.zeros(30 * 1296 - 1), [1296] * 17 + [1295] + [1296] * 12)},
            "entry 17 has 1295 cells in 'edep_cell'; expected 18 x 72 = 1296",
        ),
        ({"edep_cell": vector(np.zeros(29 * 1296), [1296] * 29 + [0])}, "entry 29 has 0 cells"),
    ],
)
@pytest.mark.parametrize("chunk", [30, 4])
def test_wrong_layouts_are_named(write_root, branches, change, message, chunk):
    content = {name: values for name, values in {**branches, **change}.items() if values is not None}
    path = write_root(content)
    with pytest.raises(RootError, match=rf"file\.root: .*{message}"):
        list(ntuples.iterate(path, chunk=chunk))


def test_cells_of_whole_numbers_in_vectors(write_root, branches):
    path = write_root({**branches, "edep_cell": vector(np.zeros(30 * 1296, np.int32), [1296] * 30)})
    with pytest.raises(RootError, match=r"'edep_cell' is of type var \* int32; expected .* float or double"):
        ntuples.read(path)


def test_text_where_numbers_belong(write_root, branches):
    path = write_root({**branches, "mom": ak.Array(["a"] * 30)}, rntuple=True)
    with pytest.raises(RootError, match=r"file\.root: 'mom' is of type string; expected numbers"):
        ntuples.read(path)


def test_empty_trees(write_root, branches, caplog, tmp_path):
    empty = write_root({name: values[:0] for name, values in branches.items()}, "empty.root")
    with pytest.raises(RootError, match=r"there are no events in .*empty\.root"):
        ntuples.read(empty)
    caplog.clear()
    write_root(branches, "full.root")
    assert len(ntuples.read(tmp_path / "*.root")) == 30
    assert "empty.root: the tree 't1' is empty" in caplog.text


def test_wrong_paths_are_told_before_the_first_chunk(tmp_path):
    with pytest.raises(RootError, match=r"no\.root: no such file"):
        ntuples.iterate(tmp_path / "no.root")
    with pytest.raises(RootError, match="no files were given"):
        ntuples.iterate([])


def test_damaged_file_among_others(write_root, branches, tmp_path):
    path = write_root(branches, "b.root")
    write_root(branches, "a.root")
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(RootError, match=r"b\.root is truncated"):
        ntuples.read(tmp_path / "*.root")


def test_round_trip(showers, tmp_path):
    path = tmp_path / "new.root"
    assert ntuples.write(showers, path) == 20
    again = ntuples.read(path)
    np.testing.assert_array_max_ulp(again.images, showers.images, 1)
    # The zenith angle near pi has less digits to spare for the inclination than the inclination itself.
    pd.testing.assert_frame_equal(again.table[showers.table.columns], showers.table, rtol=2.0**-23, atol=2.0**-22)
    exact = ["file_id", "entry", "label", "en3d", "momentum", "pdg"]
    pd.testing.assert_frame_equal(again.table[exact], showers.table[exact])


def test_what_was_read_is_written_exactly(sample_files, tmp_path):
    events = ntuples.read(sample_files["electron"], n_max=300)
    ntuples.write(events, tmp_path / "copy.root")
    again = ntuples.read(tmp_path / "copy.root")
    np.testing.assert_array_equal(again.images, events.images)
    pd.testing.assert_frame_equal(again.table, events.table)


def test_written_layout_is_that_of_ams(sample_files, tmp_path):
    ntuples.write(ntuples.iterate(sample_files["proton"], chunk=64, entry_range=(0, 200)), tmp_path / "new.root")
    with uproot.open(tmp_path / "new.root") as file:
        tree = file["t1"]
        kinds = {branch.name: branch.typename for branch in tree.branches}
        arrays = tree.arrays()
    assert kinds["edep_cell"] == "float[1296]"
    assert kinds["Trk_Ecal_Inci_X"] == "float[]"
    assert kinds["nTrk_Ecal_Inci_X"] == kinds["pdg"] == kinds["event"] == "int32_t"
    assert kinds["ecalnb_file_id"] == kinds["ecalnb_entry"] == "int64_t"
    assert len(arrays) == 200
    with uproot.open(sample_files["proton"]) as file:
        original = file["t1"].arrays(entry_stop=200)
    for name in ("en3d", "mom", "Trk_Ecal_Inci_Y", "Trk_Ecal_Inci_Z", "Trk_Ecal_Inci_Zenith", "Trk_Ecal_Inci_Azimutal"):
        assert arrays[name].tolist() == original[name].tolist(), name
    np.testing.assert_allclose(arrays["edep_cell"], original["edep_cell"], rtol=2.0**-23)


def test_missing_values_and_arrays_survive(showers, tmp_path):
    showers.table.loc[4, ["track_x", "track_y"]] = np.nan
    for i in range(3):
        showers.table[f"trd_lik_{i}"] = np.arange(20, dtype=np.float32) * i
    showers.table["good_beta"] = np.arange(20) % 3 == 0
    ntuples.write(showers, tmp_path / "new.root")
    with uproot.open(tmp_path / "new.root") as file:
        assert file["t1"]["nTrk_Ecal_Inci_X"].array().tolist() == [1] * 4 + [0] + [1] * 15
        assert file["t1"]["nTrk_Ecal_Inci_Z"].array().tolist() == [1] * 4 + [0] + [1] * 15
        assert file["t1"]["trd_lik"].typename == "float[3]"
    again = ntuples.read(tmp_path / "new.root").table
    assert again["track_x"].isna().tolist() == showers.table["track_x"].isna().tolist()
    assert again["trd_lik_2"].tolist() == showers.table["trd_lik_2"].tolist()
    assert again["good_beta"].tolist() == showers.table["good_beta"].tolist()


def test_front_face_of_the_schema_is_written(showers, tmp_path):
    ntuples.write(showers, tmp_path / "new.root", schema="ams_detector")
    with uproot.open(tmp_path / "new.root") as file:
        assert set(ak.flatten(file["t1"]["Trk_Ecal_Inci_Z"].array())) == {np.float32(-142.792)}
    again = ntuples.read(tmp_path / "new.root", schema="ams_detector").table
    np.testing.assert_allclose(again["track_x"], showers.table["track_x"], rtol=1e-6, atol=1e-3)


@pytest.mark.parametrize("bits", [2, 8, 13, 24])
def test_rounded_cells(showers, tmp_path, bits):
    ntuples.write(showers, tmp_path / "new.root", cell_bits=bits)
    with uproot.open(tmp_path / "new.root") as file:
        written = np.asarray(file["t1"]["edep_cell"].array())
    cells = showers.images.reshape(20, -1) * np.float64(1000)
    np.testing.assert_allclose(written, cells, rtol=2.0**-bits + 2.0**-24)
    mantissa, _ = np.frexp(written.astype(float))
    assert (mantissa * 2.0**bits % 1 == 0).all()


def test_what_is_not_written_is_told(showers, tmp_path, caplog):
    showers.table["my_score"] = 1.0
    ntuples.write(showers, tmp_path / "new.root")
    assert "the schema 'ams' has no branch for my_score; not written" in caplog.text
    assert "label" not in caplog.text
    showers.table = showers.table.drop(columns="pdg")
    ntuples.write(showers, tmp_path / "unlabelled.root")
    assert "no branch for label, my_score" in caplog.text


def test_what_cannot_be_written(showers, tmp_path):
    with pytest.raises(ValueError, match="cell_bits 1 is not a number of bits from 2 to 24"):
        ntuples.write(showers, tmp_path / "new.root", cell_bits=1)
    with pytest.raises(RootError, match=r"new\.root is not written: there are no events"):
        ntuples.write(iter([]), tmp_path / "new.root")
    showers.table["pdg"] = 2**40
    with pytest.raises(RootError, match="the column 'pdg' holds 1099511627776; expected integers of 32 bits"):
        ntuples.write(showers, tmp_path / "new.root")
    showers.table = showers.table.drop(columns="en3d")
    with pytest.raises(RootError, match=r"new\.root is not written: the table has no column 'en3d'"):
        ntuples.write(showers, tmp_path / "new.root")
    assert list(tmp_path.iterdir()) == []


def test_events_without_keys_get_those_of_their_file(showers, tmp_path):
    showers.table = showers.table.drop(columns=["file_id", "entry"])
    ntuples.write(showers, tmp_path / "new.root")
    table = ntuples.read(tmp_path / "new.root").table
    assert table["file_id"].unique().tolist() == [rootio.file_id(tmp_path / "new.root")]
    assert table["entry"].tolist() == list(range(20))
