"""Reading ntuples: energies, layouts, tracks, keys, and chunks."""

import hashlib
import shutil
import tracemalloc

import awkward as ak
import numpy as np
import pandas as pd
import pytest
from toy_ntuples import vector

from ecalnb import ntuples, rootio
from ecalnb.geometry import AMS, Calorimeter
from ecalnb.rootio import RootError
from ecalnb.showers import Showers
from ecalnb.splits import split_of
from ecalnb.variables import reconstructed_energy


def test_shower_follows_the_track(sample):
    electrons = sample[(sample.table["label"] == "electron").to_numpy()]
    images = electrons.images.astype(float)
    centroid = (images * AMS.cell_centers()).sum(axis=2) / images.sum(axis=2).clip(1e-9)
    hit = images.sum(axis=2) > 0
    distance = abs(centroid - AMS.project(electrons.tracks))
    assert 1.0 < np.median(distance[hit]) < 1.4  # mm
    # No bias to a side, as a wrong sign of an angle would make at depth.
    signed = (centroid - AMS.project(electrons.tracks))[:, 4:14]
    assert abs(np.median(signed)) < 0.1
    # With the views exchanged it would be a different track.
    assert np.median(abs(centroid - AMS.swap_views().project(electrons.tracks))[hit]) > 50


def test_energy_of_the_sample_is_that_of_its_cells(sample):
    # Cells are rounded to 11 bits after the energy has been reconstructed.
    np.testing.assert_allclose(reconstructed_energy(sample), sample.table["en3d"], rtol=2.0**-10)


def test_columns_of_the_sample(sample):
    table = sample.table
    assert set(table.columns) == {
        *("file_id", "entry", "label", "en3d", "momentum", "pdg", "event"),
        *("track_x", "track_y", "track_inclination", "track_azimuth"),
    }
    assert table["file_id"].dtype == table["entry"].dtype == np.int64
    assert (table["file_id"] >= 0).all()
    assert table["label"].value_counts().to_dict() == {"electron": 400, "proton": 400}
    assert table["track_inclination"].between(0, np.radians(25.001)).all()
    assert table[["track_x", "track_y"]].abs().max().max() <= 300
    electrons = table[table["label"] == "electron"]
    assert electrons["momentum"].between(5, 100).all()


def test_sample_is_the_one_described_beside_it(sample_files):
    for path in sample_files.values():
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        (line,) = (line for line in (path.parent / "README.md").read_text().splitlines() if digest in line)
        assert f"| `{path.name}` |" in line
        assert f"| {path.stat().st_size} |" in line
    assert sum(path.stat().st_size for path in sample_files.values()) < 15e6


@pytest.mark.parametrize("rntuple", [False, True])
@pytest.mark.parametrize(
    "layout",
    [
        lambda cells: cells,
        lambda cells: cells.astype(np.float64),
        lambda cells: cells.reshape(-1, 18, 72),
        lambda cells: vector(cells.ravel(), np.full(30, 1296)),
        lambda cells: vector(cells.ravel().astype(np.float64), np.full(30, 1296)),
    ],
    ids=["float[1296]", "double[1296]", "float[18][72]", "jagged float", "jagged double"],
)
@pytest.mark.parametrize("chunk", ["100 MB", 7])
def test_every_layout_of_the_cells(write_root, branches, cells, layout, rntuple, chunk):
    path = write_root({**branches, "edep_cell": layout(cells)}, rntuple=rntuple)
    images = np.concatenate([part.images for part in ntuples.iterate(path, chunk=chunk)])
    assert images.dtype == np.float32
    np.testing.assert_array_equal(images, (cells.astype(float) * 1e-3).astype(np.float32).reshape(-1, 18, 72))


def test_cells_are_layer_major(write_root, branches):
    cells = np.zeros((30, 1296), np.float32)
    cells[0, 5 * 72 + 11] = 1000
    images = ntuples.read(write_root({**branches, "edep_cell": cells})).images
    assert np.argwhere(images).tolist() == [[0, 5, 11]]
    assert images[0, 5, 11] == 1


def test_another_calorimeter(write_root, rng):
    toy = Calorimeter("toy", tuple("xyxy"), 5, 10.0, 10.0, 20.0, 1.0)
    cells = rng.random((9, 20)).astype(np.float32)
    showers = ntuples.read(write_root({"edep_cell": cells, "en3d": np.ones(9)}), geometry=toy)
    assert showers.images.shape == (9, 4, 5)
    assert showers.geometry == toy


@pytest.mark.parametrize("rntuple", [False, True])
def test_optional_branches(write_root, branches, rntuple):
    counts = np.tile([2, 0, 1], 10)
    energies = np.arange(30, dtype=np.float64)
    path = write_root(
        {
            **branches,
            "mom": energies,  # double
            "EcalEMlhd": vector(np.arange(30, dtype=np.float32), counts),
            "trd_lik": np.arange(90, dtype=np.float32).reshape(30, 3),
            "trd_like": vector(np.arange(30, dtype=np.float32), counts),  # an array that comes as a vector
            "trd_qk": np.arange(120, dtype=np.float32).reshape(30, 4),  # a vector that comes as an array
            "trd_statk": np.arange(30, dtype=np.int32) + 2**30,
            "trd_nhitk": vector(np.arange(30, dtype=np.int32), counts),
            "IsGoodBeta": (np.arange(30) % 2).astype(np.int32),
            "something_else": np.ones(30),
        },
        rntuple=rntuple,
    )
    table = ntuples.read(path).table
    first = np.where(counts > 0, np.concatenate([[0], np.cumsum(counts)[:-1]]), np.nan)
    np.testing.assert_array_equal(table["momentum"], energies)
    np.testing.assert_array_equal(table["ecal_likelihood"], first)
    np.testing.assert_array_equal(table["trd_lik_2"], np.arange(2, 90, 3))
    np.testing.assert_array_equal(table["trd_like_0"], first)
    np.testing.assert_array_equal(table["trd_like_1"], np.where(counts > 1, first + 1, np.nan))
    assert table["trd_like_2"].isna().all()
    np.testing.assert_array_equal(table["trd_k_charge"], np.arange(0, 120, 4))
    assert table["trd_k_status"].dtype == np.int64
    assert table["trd_k_status"].tolist() == (np.arange(30) + 2**30).tolist()
    np.testing.assert_array_equal(table["trd_k_hits"], first)
    assert table["good_beta"].tolist() == [False, True] * 15
    assert set(table.columns) == {
        *("file_id", "entry", "label", "en3d", "momentum", "ecal_likelihood", "trd_k_charge", "trd_k_status"),
        *("trd_k_hits", "good_beta", *(f"{name}_{i}" for name in ("trd_lik", "trd_like") for i in range(3))),
    }


def test_units_and_scale_are_the_schema(write_root, branches, cells, tmp_path):
    schema = tmp_path / "mine.toml"
    schema.write_text('base = "ams"\n[cells]\nunit = "GeV"\nscale = 0.5\n[columns.en3d]\nunit = "MeV"\n')
    showers = ntuples.read(write_root(branches), schema=schema)
    np.testing.assert_array_equal(showers.images.reshape(30, -1), cells / 2)
    np.testing.assert_allclose(showers.table["en3d"], branches["en3d"] / 1000, rtol=1e-7)
    assert showers.metadata["schema"] == "mine"


def track_branches(z: float, n: int = 30) -> dict[str, ak.Array]:
    """Tracks at height z in cm, downgoing, all the same line through (10, -5, 0) cm."""
    inclination, azimuth = 0.3, 2.0
    x = 10 - z * np.tan(inclination) * np.cos(azimuth)  # below z = 0 the particle has travelled on
    y = -5 - z * np.tan(inclination) * np.sin(azimuth)
    values = {"X": x, "Y": y, "Z": z, "Zenith": np.pi - inclination, "Azimutal": azimuth}
    return {f"Trk_Ecal_Inci_{key}": vector(np.full(n, value)) for key, value in values.items()}


@pytest.mark.parametrize("z", [0.0, 5.0, -8.0])
def test_positions_are_moved_to_the_front_face(write_root, branches, z):
    table = ntuples.read(write_root({**branches, **track_branches(z)})).table
    np.testing.assert_allclose(table["track_x"], 100, rtol=1e-6)
    np.testing.assert_allclose(table["track_y"], -50, rtol=1e-6)
    np.testing.assert_allclose(table["track_inclination"], 0.3, rtol=1e-6)
    np.testing.assert_allclose(table["track_azimuth"], 2.0, rtol=1e-6)


def test_front_face_elsewhere(write_root, branches):
    tracks = track_branches(-142.792)
    path = write_root({**branches, **tracks})
    with pytest.raises(RootError, match=r"'Trk_Ecal_Inci_Z' is -142.792 cm.*'ams' is at 0 cm.*'ams_detector'"):
        ntuples.read(path)
    table = ntuples.read(path, schema="ams_detector").table
    np.testing.assert_allclose(table["track_x"], 10 * tracks["Trk_Ecal_Inci_X"][0, 0], rtol=1e-6)


def test_columns_bring_along_what_positions_need(write_root, branches):
    table = ntuples.read(write_root({**branches, **track_branches(5.0)}), columns=["track_x"]).table
    assert table.columns.tolist() == ["file_id", "entry", "label", "en3d", "track_x"]
    np.testing.assert_allclose(table["track_x"], 100, rtol=1e-6)


def test_positions_that_cannot_be_moved_are_missing(write_root, branches, caplog):
    tracks = track_branches(5.0)
    del tracks["Trk_Ecal_Inci_Zenith"]
    table = ntuples.read(write_root({**branches, **tracks})).table
    assert table["track_x"].isna().all()
    assert "cannot be moved there without track_inclination" in caplog.text


def test_missing_track(write_root, branches):
    counts = np.array([1] * 29 + [0])
    tracks = {name: values[: 30 - 1] for name, values in track_branches(5.0).items()}
    tracks = {name: vector(ak.flatten(values), counts) for name, values in tracks.items()}
    table = ntuples.read(write_root({**branches, **tracks})).table
    assert table["track_x"].isna().tolist() == [False] * 29 + [True]


def test_event_keys_differ_between_files_and_survive_copies(write_root, branches, tmp_path):
    first, second = write_root(branches, "a.root"), write_root(branches, "b.root")
    shutil.copy(first, tmp_path / "renamed.root")
    keys = [ntuples.read(path).table[["file_id", "entry"]] for path in (first, second, tmp_path / "renamed.root")]
    assert keys[0]["entry"].tolist() == list(range(30))
    assert (keys[0]["file_id"] == rootio.file_id(first)).all()
    assert keys[0]["file_id"][0] != keys[1]["file_id"][0]
    pd.testing.assert_frame_equal(keys[0], keys[2])


def test_skim_of_two_files_keeps_keys_and_splits(write_root, branches, tmp_path):
    files = [write_root(branches, "a.root"), write_root(branches, "b.root")]
    events = ntuples.read(files)
    skim = events[::-1][np.arange(60) % 3 == 0]
    ntuples.write(skim, tmp_path / "skim.root")
    again = ntuples.read(tmp_path / "skim.root")
    pd.testing.assert_frame_equal(again.table[["file_id", "entry"]], skim.table[["file_id", "entry"]])
    whole = pd.Series(split_of(events.table["file_id"], events.table["entry"]))
    assert (
        split_of(again.table["file_id"], again.table["entry"]).tolist() == whole[::-1][np.arange(60) % 3 == 0].tolist()
    )


def test_packaged_events_have_the_splits_of_their_originals(sample):
    # Keys of the reference files that the packaged ones were made from.
    assert set(sample.table["file_id"]) == {2322843523502692544, 1624974694133189081}
    assert sample.table["entry"].tolist() == [*range(400), *range(400)]


def test_label_is_what_caller_dataset_or_file_say(write_root, branches, caplog):
    path = write_root({**branches, "pdg": np.array([11, -11, 2212] * 10, np.int32)}, "mc.root")
    dataset = ntuples.Dataset("toy", files=(str(path),), label="positron", simulation="toy")
    assert ntuples.read(path).table["label"].tolist() == ["electron", "positron", "proton"] * 10
    assert not caplog.records
    assert set(ntuples.read(dataset).table["label"]) == {"positron"}
    assert "the label 'positron' is given to events that are electron, proton by 'pdg'" in caplog.text
    assert set(ntuples.read(dataset, label="helium").table["label"]) == {"helium"}


def test_label_is_missing_when_nobody_says(write_root, branches, caplog):
    assert ntuples.read(write_root(branches)).table["label"].isna().all()
    table = ntuples.read(write_root({**branches, "pdg": np.array([11] * 29 + [3122], np.int32)})).table
    assert table["label"].isna().tolist() == [False] * 29 + [True]
    assert "particles [3122] have no label" in caplog.text
    assert (table["label"] == "electron").sum() == 29


def test_dataset_brings_schema_and_description(write_root, branches, tmp_path):
    (tmp_path / "mine.toml").write_text('base = "ams"\n[cells]\nscale = 2.0\n')
    path = write_root(branches)
    dataset = ntuples.Dataset(
        "toy", files=(str(path),), kind="flight", weight=0.5, schema=str(tmp_path / "mine.toml"), label="proton"
    )
    (showers,) = ntuples.iterate(dataset)
    np.testing.assert_allclose(showers.images, 2 * ntuples.read(path).images)
    known = {"dataset": "toy", "kind": "flight", "weight": 0.5, "simulation": "", "schema": "mine", "file": str(path)}
    assert known.items() <= showers.metadata.items()


def test_dataset_of_members():
    dataset = ntuples.load_datasets()["geant4_sample"]
    parts = list(ntuples.iterate(dataset, chunk=5, entry_range=(0, 5)))
    names = ["geant4_electrons", "geant4_protons", "geant4_protons_high"]
    assert list(dict.fromkeys(part.metadata["dataset"] for part in parts)) == names
    for part in parts:
        assert set(part.table["label"]) == {"electron" if "electrons" in part.metadata["dataset"] else "proton"}
        assert set(part.table["weight"]) == {16.25 if part.metadata["dataset"] == names[2] else 1.0}


@pytest.mark.parametrize("chunk", [1, 7, 30, 31, "50 kB"])
def test_chunks_are_the_whole(write_root, branches, chunk, tmp_path):
    write_root({**branches, **track_branches(3.0)}, "a.root")
    write_root({name: values[:11] for name, values in {**branches, **track_branches(3.0)}.items()}, "b.root")
    files = str(tmp_path / "[ab].root")
    whole = ntuples.read(files)
    assert len(whole) == 41
    assert ntuples.count(files) == {tmp_path / "a.root": 30, tmp_path / "b.root": 11}
    parts = list(ntuples.iterate(files, chunk=chunk))
    step = {"50 kB": 9}.get(chunk, chunk)
    assert max(len(part) for part in parts) == min(step, 30)
    again = Showers.concatenate(parts)
    np.testing.assert_array_equal(again.images, whole.images)
    pd.testing.assert_frame_equal(again.table, whole.table)
    assert [part.metadata["entries"][0] for part in parts if "a.root" in part.metadata["file"]] == list(
        range(0, 30, step)
    )


@pytest.mark.parametrize("entry_range", [(0, 0), (0, 1), (5, 17), (29, None), (12, 999)])
def test_entry_range(write_root, branches, entry_range):
    path = write_root(branches)
    parts = list(ntuples.iterate(path, chunk=4, entry_range=entry_range))
    entries = [entry for part in parts for entry in part.table["entry"]]
    assert entries == list(range(30))[slice(*entry_range)]
    for part in parts:
        np.testing.assert_allclose(
            part.images.reshape(len(part), -1) * 1000, branches["edep_cell"][part.table["entry"]]
        )


def test_n_max(write_root, branches, tmp_path):
    write_root(branches, "a.root")
    write_root(branches, "b.root")
    assert len(ntuples.read(tmp_path / "*.root", n_max=45)) == 45
    assert len(ntuples.read(tmp_path / "*.root", n_max=4)) == 4


def test_memory_does_not_grow_with_the_file(make_showers, tmp_path, monkeypatch):
    monkeypatch.setattr(rootio, "BASKET_BYTES", 500_000)
    part = make_showers(200)
    peaks = []
    for parts in (10, 30):  # more than one table of either
        path = tmp_path / f"{parts}.root"
        ntuples.write((part for _ in range(parts)), path)
        for measured in (False, True):  # the first time also imports and compiles
            if measured:
                tracemalloc.start()
            assert sum(len(showers) for showers in ntuples.iterate(path, chunk="1 MB")) == 200 * parts
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.2 * peaks[0]
    assert peaks[1] < 8e6  # the images of the larger file are 31 MB


def test_columns(write_root, branches):
    path = write_root({**branches, "mom": np.ones(30), "prob_e": np.ones(30)})
    assert ntuples.read(path, columns=[]).table.columns.tolist() == ["file_id", "entry", "label", "en3d"]
    assert "momentum" in ntuples.read(path, columns=["entry", "momentum"]).table
    with pytest.raises(RootError, match="schema 'ams' has no column 'momentun'; did you mean 'momentum'"):
        ntuples.read(path, columns=["momentun"])
    with pytest.raises(
        RootError, match=r"file\.root: the column 'ecal_bdt' is asked for, but there is no branch 'ecal3dbdt'"
    ):
        ntuples.read(path, columns=["ecal_bdt"])
