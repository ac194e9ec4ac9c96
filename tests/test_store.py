"""The store against what went into it, and what it does with bad input, killed processes and full disks."""

from __future__ import annotations

import json
import logging
import os
import pickle
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import awkward as ak
import numba
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import uproot
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import ecalnb
from ecalnb import _compiled
from ecalnb.datasets import Dataset
from ecalnb.geometry import AMS, Calorimeter
from ecalnb.rootio import RootError
from ecalnb.selection import Cut
from ecalnb.showers import Showers
from ecalnb.simulation import simulate_to_file
from ecalnb.store import Store, StoreError, convert, from_showers
from ecalnb.store import _batches as batches_module

SMALL = Calorimeter("small", ("x", "y", "x"), 5, 10.0, 10.0, 5.0, 0.5)
PYTHONPATH = os.pathsep.join([str(Path(ecalnb.__file__).parents[1]), os.environ.get("PYTHONPATH", "")])


def cells_in_file(n: int, seed: int) -> np.ndarray:
    """Cells in MeV, one in six hit."""
    rng = np.random.default_rng(seed)
    cells = rng.exponential(20, (n, AMS.n_layers * AMS.n_cells)).astype(np.float32)
    return cells * (rng.random(cells.shape) < 1 / 6)


def root_file(path: Path, n: int = 40, seed: int = 0, pdg: int | None = 11, cells: np.ndarray | None = None) -> Path:
    """A file of the AMS layout, written by uproot alone."""
    rng = np.random.default_rng(seed)
    cells = cells_in_file(n, seed) if cells is None else cells
    branches: dict[str, object] = {
        "edep_cell": cells,
        "en3d": cells.sum(axis=1, where=cells > 0).astype(np.float32) * 1e-3,
        "mom": rng.uniform(5, 100, n).astype(np.float32),
        "Trk_Ecal_Inci_X": ak.unflatten(rng.normal(size=n).astype(np.float32), np.ones(n, int)),
    }
    if pdg is not None:
        branches["pdg"] = np.full(n, pdg, np.int32)
    with uproot.recreate(path) as file:
        types = {
            k: "var * float32" if isinstance(v, ak.Array) else np.dtype((v.dtype, v.shape[1:]))
            for k, v in branches.items()
        }
        tree = file.mktree("t1", types)
        for start in range(0, n, 16):
            tree.extend({name: values[start : start + 16] for name, values in branches.items()})
    return path


def images_of(path: Path) -> np.ndarray:
    raw = uproot.open(path)["t1/edep_cell"].array(library="np")
    return (raw.astype(np.float64) * 1e-3).astype(np.float32).reshape(-1, *AMS.shape)


def showers(n: int = 7, seed: int = 0, geometry: Calorimeter = SMALL, **columns: object) -> Showers:
    rng = np.random.default_rng(seed)
    images = rng.exponential(size=(n, *geometry.shape)) * (rng.random((n, *geometry.shape)) < 0.4)
    table = pd.DataFrame({"file_id": np.full(n, 5 + seed), "entry": np.arange(n), "en3d": images.sum(axis=(1, 2))})
    return Showers(images.astype(np.float32), table.assign(**columns), geometry)


def leftovers(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob(".*"))


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    folder = tmp_path / "root"
    folder.mkdir()
    return [
        root_file(folder / "a.root", seed=1),
        root_file(folder / "b.root", seed=2, pdg=2212),
        root_file(folder / "c.root", seed=3),
    ]


# ------------------------------------------------------------------------------------------------------- round trip


@settings(deadline=None, max_examples=60)
@given(data=st.data())
def test_any_images_come_back_in_any_order(data: st.DataObject) -> None:
    n = data.draw(st.integers(1, 12))
    energies = st.one_of(st.just(0.0), st.floats(width=32, allow_nan=False))
    images = data.draw(hnp.arrays(np.float32, (n, *SMALL.shape), elements=energies))
    rows = data.draw(st.lists(st.integers(0, n - 1), max_size=20))
    block = data.draw(st.integers(1, 12))
    table = pd.DataFrame({"file_id": np.arange(n), "entry": np.arange(n), "en3d": np.arange(n) / 2})
    original = Showers(images, table, SMALL)
    with tempfile.TemporaryDirectory() as folder:
        store = from_showers(original.batches(block), Path(folder) / "store")
        np.testing.assert_array_equal(store.dense(rows), images[rows])
        np.testing.assert_array_equal(store.table(rows=rows)["entry"], np.array(rows, int))
        np.testing.assert_array_equal(store.table()["en3d"], table["en3d"])
        store.verify()


def test_rows_are_found_across_batches_and_shards(tmp_path: Path, files: list[Path], monkeypatch) -> None:
    monkeypatch.setattr(batches_module, "EVENTS_PER_BATCH", 16)  # joined from 4 on
    store = convert(files, tmp_path / "s", chunk=7)
    expected = np.concatenate([images_of(path) for path in files])
    rows = np.random.default_rng(0).permutation(np.repeat(np.arange(len(expected)), 2))
    np.testing.assert_array_equal(store.dense(rows), expected[rows])
    assert len(store._map().starts) > 12
    store.verify()


def test_root_files_become_shards_with_exact_images_and_their_table(tmp_path: Path, files: list[Path]) -> None:
    store = convert(files, tmp_path / "s")
    assert len(store) == 120
    assert store.labels == {"electron": 80, "proton": 40}
    assert [shard.n_events for shard in store.shards] == [40, 40, 40]
    np.testing.assert_array_equal(store.dense(slice(40, 80)), images_of(files[1]))
    table = store.table()
    assert table["label"].tolist() == ["electron"] * 40 + ["proton"] * 40 + ["electron"] * 40
    for i, path in enumerate(files):
        raw = uproot.open(path)["t1"].arrays(["mom", "en3d", "Trk_Ecal_Inci_X"])
        rows = table.iloc[40 * i : 40 * (i + 1)]
        np.testing.assert_array_equal(rows["momentum"], raw["mom"])
        np.testing.assert_array_equal(rows["en3d"], raw["en3d"])
        np.testing.assert_allclose(rows["track_x"], 10 * raw["Trk_Ecal_Inci_X"][:, 0], rtol=1e-6)
        assert rows["entry"].tolist() == list(range(40))
    assert leftovers(tmp_path) == []
    assert "120 events of AMS-02 ECAL (80 electron, 40 proton), 3 shards" in repr(store)


def test_store_has_what_ntuples_read(tmp_path: Path, files: list[Path]) -> None:
    store, read = convert(files, tmp_path / "s"), ecalnb_read(files)
    rows = [100, 3, 3, 50]
    chosen = store.showers(rows)
    np.testing.assert_array_equal(chosen.images, read.images[rows])
    pd.testing.assert_frame_equal(chosen.table, read.table.iloc[rows].reset_index(drop=True), check_dtype=False)
    assert chosen.metadata["fingerprint"] == store.fingerprint()
    assert store.columns == list(read.table.columns)
    assert store.splits().tolist() == [str(s) for s in ecalnb_split(read.table)]


def ecalnb_read(files: list[Path]) -> Showers:
    from ecalnb import ntuples

    return ntuples.read(files)


def ecalnb_split(table: pd.DataFrame) -> np.ndarray:
    from ecalnb.splits import split_of

    return split_of(table["file_id"], table["entry"])


def test_a_calorimeter_of_many_cells_has_wide_indices(tmp_path: Path) -> None:
    wide = Calorimeter("wide", ("x", "y"), 40_000, 1.0, 10.0, 5.0, 0.5)
    images = np.zeros((2, *wide.shape), np.float32)
    images[0, 1, 39_999], images[1, 0, 0] = 3, 4
    original = Showers(images, pd.DataFrame({"file_id": [1, 1], "entry": [0, 1]}), wide)
    store = from_showers(original, tmp_path / "s")
    np.testing.assert_array_equal(store.dense([1, 0]), images[[1, 0]])
    assert store.geometry == wide
    store.verify()


def test_dense_reuses_memory_and_takes_masks(tmp_path: Path) -> None:
    original = showers(9)
    store = from_showers(original, tmp_path / "s")
    out = np.full((2, *SMALL.shape), np.nan, np.float32)
    assert store.dense([4, 1], out=out) is out
    np.testing.assert_array_equal(out, original.images[[4, 1]])
    mask = original.table["en3d"].to_numpy() > 6
    np.testing.assert_array_equal(store.dense(mask), original.images[mask])
    assert store.dense([]).shape == (0, *SMALL.shape)


@pytest.mark.parametrize(
    "out", [np.zeros((3, 3, 5)), np.zeros((2, 3, 5), np.float32), np.zeros((3, 5, 3), np.float32).swapaxes(1, 2)]
)
def test_out_of_another_form_is_refused(tmp_path: Path, out: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"expected writeable, contiguous float32 \(3, 3, 5\)"):
        from_showers(showers(), tmp_path / "s").dense([0, 1, 2], out=out)


@pytest.mark.parametrize("row", [-1, 7])
def test_rows_that_do_not_exist_are_refused(tmp_path: Path, row: int) -> None:
    store = from_showers(showers(7), tmp_path / "s")
    for read in (store.dense, lambda rows: store.table(rows=rows)):
        with pytest.raises(IndexError, match=f"row {row} is not in .*which has 7 events"):
            read([0, row])
    with pytest.raises(IndexError, match="expected integers"):
        store.dense([0.5])


def test_a_store_goes_to_another_process(tmp_path: Path) -> None:
    store = from_showers(showers(), tmp_path / "s")
    before = store.dense([3])
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(store)).dense([3]), before)


# ------------------------------------------------------------------------------------------------------- the table


def test_columns_that_a_shard_lacks_are_missing_there(tmp_path: Path) -> None:
    root_file(tmp_path / "a.root", seed=1)
    root_file(tmp_path / "b.root", seed=2, pdg=None)
    store = convert(tmp_path / "*.root", tmp_path / "s")
    table = store.table(["pdg", "label", "entry"])
    assert list(table) == ["pdg", "label", "entry"]
    assert table["pdg"].isna().tolist() == table["label"].isna().tolist() == [False] * 40 + [True] * 40
    assert store.labels == {"electron": 40, "": 40}
    merged = store.merge(tmp_path / "m")
    pd.testing.assert_frame_equal(merged.table(), store.table())
    assert merged.fingerprint() == store.fingerprint()
    merged.verify()
    with pytest.raises(StoreError, match="no column 'momentun'; it has file_id"):
        store.table(["momentun"])


def test_the_table_is_a_copy(tmp_path: Path) -> None:
    store = from_showers(showers(), tmp_path / "s")
    for columns in (None, ["en3d"]):
        table = store.table(columns)
        table.loc[0, "en3d"] = -1.0
        table["en3d"] *= 2
    assert (store.table()["en3d"] >= 0).all()
    store.verify()


def test_select_gives_rows_and_reads_the_columns_of_the_cut_only(tmp_path: Path) -> None:
    store = from_showers(showers(20), tmp_path / "s")
    seen = []

    class Cut:
        columns = frozenset({"en3d"})

        def __call__(self, table: pd.DataFrame) -> pd.Series:
            seen.append(list(table))
            return table["en3d"] > 6

    rows = store.select(Cut())
    np.testing.assert_array_equal(rows, np.flatnonzero(store.table()["en3d"] > 6))
    assert seen == [["en3d"]]
    nullable = store.select(lambda _: pd.Series([True, pd.NA] + [False] * 18, dtype="boolean"))
    assert nullable.tolist() == [0]
    with pytest.raises(StoreError, match=r"gave int64 \(20,\); expected bool \(20,\)"):
        store.select(lambda table: table["entry"])


def test_columns_that_no_store_can_hold_are_refused(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="column 'odd' has dtype object; a store holds numbers"):
        from_showers(showers(2, odd=[[1], {2: 3}]), tmp_path / "s")
    with pytest.raises(StoreError, match="a column 'hits'"):
        from_showers(showers(2, hits=1), tmp_path / "s")
    assert not (tmp_path / "s").exists()


# ------------------------------------------------------------------------------------------------------- converting


def test_converting_again_changes_nothing_and_files_are_added(tmp_path: Path, files: list[Path]) -> None:
    first = convert(files[:1], tmp_path / "s")
    before = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "s").glob("*.arrow")}
    both = convert(files, tmp_path / "s")
    again = convert(files, tmp_path / "s")
    assert len(first) == 40
    assert len(both) == len(again) == 120
    assert all((tmp_path / "s" / name).stat().st_mtime_ns == time for name, time in before.items())
    assert both.fingerprint() == again.fingerprint() == convert(files, tmp_path / "t").fingerprint()


def test_order_of_conversion_does_not_matter(tmp_path: Path, files: list[Path]) -> None:
    for path in (files[2], files[0], files[1]):
        store = convert(path, tmp_path / "s")
    other = convert(files, tmp_path / "t")
    pd.testing.assert_frame_equal(store.table(), other.table())


def test_the_same_events_written_again_have_the_same_order(tmp_path: Path) -> None:
    """Files of one name in several folders, as of a production: each writing gives a file another UUID."""
    tables = []
    for number in range(4):
        paths = [tmp_path / str(number) / kind / "demo-0000.root" for kind in ("electron", "proton")]
        for path in paths:
            path.parent.mkdir(parents=True)
            simulate_to_file(path, path.parent.name, 5, energy=10.0, seed=3)
        tables.append(convert(paths, tmp_path / f"store{number}").table())
    assert len({path.read_bytes() for path in tmp_path.rglob("electron/*.root")}) > 1
    for table in tables[1:]:
        pd.testing.assert_frame_equal(table, tables[0])


def test_other_options_are_refused_by_name_until_overwritten(tmp_path: Path, files: list[Path]) -> None:
    convert(files, tmp_path / "s", label="muon")
    with pytest.raises(StoreError, match="now bad_cells = 'zero', in the store 'reject'"):
        convert(files, tmp_path / "s", label="muon", bad_cells="zero")
    with pytest.raises(StoreError, match=r"selection = '.*first_half.*', in the store none"):
        convert(files, tmp_path / "s", label="muon", selection=first_half)
    with pytest.raises(StoreError, match=r"views = \['x'"):
        convert(files, tmp_path / "s", label="muon", geometry=AMS.swap_views())
    with pytest.raises(StoreError, match=r"a\.root is in the store .* with label 'muon', not 'pion'"):
        convert(files, tmp_path / "s", label="pion")
    assert Store(tmp_path / "s").labels == {"muon": 120}
    store = convert(files[:2], tmp_path / "s", label="pion", bad_cells="zero", overwrite=True)
    assert store.labels == {"pion": 80}
    assert store.options == {"selection": None, "bad_cells": "zero"}


def first_half(table: pd.DataFrame) -> pd.Series:
    return table["entry"] < 20


def test_a_selection_is_applied_and_told_from_others(tmp_path: Path, files: list[Path]) -> None:
    store = convert(files, tmp_path / "s", selection=first_half)
    np.testing.assert_array_equal(store.dense(slice(0, 20)), images_of(files[0])[:20])
    assert store.table()["entry"].max() == 19
    assert store.manifest["shards"][0]["sources"][0]["n_read"] == 40
    limit = 5
    with pytest.raises(StoreError, match="now selection = "):
        convert(files, tmp_path / "s", selection=lambda table: table["entry"] < limit)
    for name, limit in (("t", 5), ("t", 6)):
        cut = lambda table, limit=limit: table["entry"] < limit  # noqa: E731
        if limit == 5:
            assert len(convert(files, tmp_path / name, selection=cut)) == 15
        else:
            with pytest.raises(StoreError, match="now selection = "):
                convert(files, tmp_path / name, selection=cut)


def test_a_selection_without_a_description_is_refused(tmp_path: Path, files: list[Path]) -> None:
    class Nameless:
        def __call__(self, table: pd.DataFrame) -> pd.Series:
            return table["entry"] < 2

    with pytest.raises(StoreError, match="cannot be told from others"):
        convert(files, tmp_path / "s", selection=Nameless())


def test_a_selection_that_leaves_nothing_leaves_nothing(tmp_path: Path, files: list[Path]) -> None:
    with pytest.raises(StoreError, match=r"none of the 80 events of .*a\.root, .*b\.root is left .*the selection is"):
        convert(files[:2], tmp_path / "s", selection=lambda table: table["entry"] < 0)
    assert not (tmp_path / "s").exists()
    with pytest.raises(StoreError, match=r"the selection is 'en3d > 1e9' and 'entry < 5'$"):
        convert(files[:2], tmp_path / "s", selection=Cut("en3d > 1e9") & Cut("entry < 5", label="first"))


def test_a_file_without_chosen_events_is_told_but_not_an_error(tmp_path: Path, files: list[Path], caplog) -> None:
    store = convert(files, tmp_path / "s", selection=lambda table: table["pdg"] == 2212)
    assert len(store) == 40
    assert "a.root: none of its 40 events is kept" in caplog.text
    np.testing.assert_array_equal(store.dense([39]), images_of(files[1])[[39]])
    assert len(store.merge(tmp_path / "m")) == 40


def test_bad_cells_are_counted_in_the_manifest(tmp_path: Path) -> None:
    cells = cells_in_file(20, 0)
    cells[3, 7], cells[5, 0], cells[6, 1295] = np.nan, -1, np.inf
    path = root_file(tmp_path / "a.root", 20, cells=np.nan_to_num(cells, nan=0, posinf=0))
    with uproot.recreate(path) as file:
        file.mktree("t1", {"edep_cell": np.dtype((np.float32, (1296,))), "en3d": np.float32})
        file["t1"].extend({"edep_cell": cells, "en3d": np.ones(20, np.float32)})
    store = convert(path, tmp_path / "s")
    source = store.manifest["shards"][0]["sources"][0]
    assert (len(store), source["n_read"]) == (17, 20)
    assert {k: source["bad_cells"][k] for k in ("nan", "infinite", "negative")} == {
        "nan": 1,
        "infinite": 1,
        "negative": 1,
    }
    zeroed = convert(path, tmp_path / "t", bad_cells="zero")
    assert len(zeroed) == 20
    assert zeroed.dense([3])[0].flat[7] == 0
    with pytest.raises(RootError, match=r"a\.root"):
        convert(path, tmp_path / "u", bad_cells="error")
    assert not (tmp_path / "u").exists()


def test_a_bad_file_stops_but_what_is_done_remains(tmp_path: Path, files: list[Path]) -> None:
    content = bytearray(files[1].read_bytes())
    content[10_000:30_000] = bytes(20_000)  # a hole in the baskets
    files[1].write_bytes(content)
    with pytest.raises(RootError, match=r"b\.root"):
        convert(files, tmp_path / "s")
    assert leftovers(tmp_path) == []
    assert len(Store(tmp_path / "s")) == 40
    files[1].write_bytes(content[:20_000])
    with pytest.raises(RootError, match=r"b\.root is truncated"):
        convert(files, tmp_path / "t")
    assert not (tmp_path / "t").exists()


def test_copies_of_a_file_count_once(tmp_path: Path, files: list[Path], caplog) -> None:
    shutil.copy(files[0], tmp_path / "copy.root")
    store = convert([*files, tmp_path / "copy.root"], tmp_path / "s")
    assert len(store) == 120
    assert "is passed over: it is a copy of" in caplog.text


def test_datasets_say_what_their_files_are(tmp_path: Path, files: list[Path]) -> None:
    flight = Dataset("flown", (str(files[0]),), kind="flight", label="background")
    toys = Dataset("toys", (str(files[1]),), label="proton", simulation="random numbers", weight=2.0)
    store = convert([flight, toys], tmp_path / "s")
    sources = [shard["sources"][0] for shard in store.manifest["shards"]]
    assert [(s["dataset"], s["kind"], s["label"]) for s in sources] == [
        ("flown", "flight", "background"),
        ("toys", "mc", "proton"),
    ]
    assert sources[1]["simulation"] == "random numbers"
    assert store.labels == {"background": 40, "proton": 40}


@pytest.mark.parametrize(
    ("options", "message"),
    [({"kind": "data"}, "kind 'data'"), ({"jobs": 0}, "jobs is 0"), ({"bad_cells": "keep"}, "'keep'")],
)
def test_options_that_do_not_exist_are_refused(tmp_path: Path, files: list[Path], options, message) -> None:
    with pytest.raises(StoreError, match=message):
        convert(files, tmp_path / "s", **options)
    assert not (tmp_path / "s").exists()


def test_several_processes_make_the_same_store(tmp_path: Path, files: list[Path], monkeypatch) -> None:
    monkeypatch.setenv("PYTHONPATH", PYTHONPATH)
    store = convert(files, tmp_path / "s", jobs=2)
    assert store.fingerprint() == convert(files, tmp_path / "t").fingerprint()
    with pytest.raises(StoreError, match="cannot be sent to other processes"):
        convert(files, tmp_path / "u", jobs=2, selection=lambda table: table["entry"] < 5)
    assert not (tmp_path / "u").exists()


# ------------------------------------------------------------------------------------------------------- bad stores


def test_what_is_not_a_store_is_refused_and_left_alone(tmp_path: Path, files: list[Path]) -> None:
    with pytest.raises(StoreError, match="does not exist"):
        Store(tmp_path / "nowhere")
    with pytest.raises(StoreError, match=r"a\.root is a file"):
        Store(files[0])
    with pytest.raises(StoreError, match=r"a\.root is a file"):
        convert(files, files[0])
    (tmp_path / "s").mkdir()
    with pytest.raises(StoreError, match=r"neither manifest\.json nor shards"):
        Store(tmp_path / "s")
    (tmp_path / "s" / "thesis.tex").write_text("precious")
    for overwrite in (False, True):
        with pytest.raises(StoreError, match=r"is not a store: it holds thesis\.tex"):
            convert(files, tmp_path / "s", overwrite=overwrite)
    (tmp_path / "s" / "manifest.json").write_text('{"manifest_version": 3}')
    with pytest.raises(StoreError, match="not a store"):
        convert(files, tmp_path / "s", overwrite=True)
    pa_file(tmp_path / "t" / "other.arrow")
    for overwrite in (False, True):
        with pytest.raises(StoreError, match=r"other\.arrow says that it is None; expected 'ecalnb store'"):
            convert(files, tmp_path / "t", overwrite=overwrite)
    assert (tmp_path / "t" / "other.arrow").exists()
    assert (tmp_path / "s" / "thesis.tex").read_text() == "precious"


def pa_file(path: Path) -> None:
    path.parent.mkdir()
    batch = pa.record_batch({"a": [1]})
    with pa.ipc.new_file(path, batch.schema) as writer:
        writer.write_batch(batch)


def test_another_version_is_named(tmp_path: Path, files: list[Path], monkeypatch) -> None:
    from ecalnb.store import shard

    with monkeypatch.context() as patch:
        patch.setattr(shard, "VERSION", 99)
        convert(files, tmp_path / "s")
    message = "has schema version 99, this ecalnb reads version 1"
    for _ in range(2):  # by the manifest, and by the shards
        with pytest.raises(StoreError, match=message):
            Store(tmp_path / "s")
        with pytest.raises(StoreError, match=message):
            convert(files, tmp_path / "s")
        (tmp_path / "s" / "manifest.json").unlink(missing_ok=True)


@pytest.mark.parametrize("with_manifest", [True, False])
@pytest.mark.parametrize("kept", [0, 100, 0.5, 0.999])
def test_a_truncated_shard_is_named_and_made_again(tmp_path: Path, files: list[Path], kept, with_manifest) -> None:
    whole = convert(files, tmp_path / "s")
    path = tmp_path / "s" / whole.shards[1].name
    content = path.read_bytes()
    path.write_bytes(content[: kept if kept in (0, 100) else int(len(content) * kept)])
    if not with_manifest:
        (tmp_path / "s" / "manifest.json").unlink()
    with pytest.raises(StoreError, match=f"{path.name} is truncated or not a shard"):
        Store(tmp_path / "s")
    with pytest.raises(StoreError, match=f"{path.name} is truncated"):
        convert(files[0], tmp_path / "s")
    again = convert(files, tmp_path / "s")
    assert again.fingerprint() == whole.fingerprint()
    again.verify()


def test_a_shard_truncated_under_an_open_store_is_named(tmp_path: Path, files: list[Path]) -> None:
    store = convert(files, tmp_path / "s")
    os.truncate(tmp_path / "s" / store.shards[2].name, 5000)
    with pytest.raises(StoreError, match=r"c-.*arrow has 5000 bytes, \d+ were expected"):
        store.dense([0])


def test_a_missing_shard_is_named_and_made_again(tmp_path: Path, files: list[Path]) -> None:
    store = convert(files, tmp_path / "s")
    (tmp_path / "s" / store.shards[0].name).unlink()
    with pytest.raises(StoreError, match=r"a-.*arrow, a shard of 40 events, is missing; convert .*a\.root again"):
        Store(tmp_path / "s")
    with pytest.raises(StoreError, match="is missing"):  # another file does not make up for it
        convert(root_file(tmp_path / "d.root", seed=9), tmp_path / "s")
    assert len(convert(files, tmp_path / "s")) == 160
    (tmp_path / "s" / store.shards[0].name).unlink()
    (tmp_path / "s" / "manifest.json").unlink()
    assert len(Store(tmp_path / "s")) == 120


def test_a_shard_of_another_geometry_is_named(tmp_path: Path, files: list[Path]) -> None:
    convert(files[:1], tmp_path / "s")
    other = convert(files[1:2], tmp_path / "t", geometry=AMS.swap_views())
    shutil.copy(tmp_path / "t" / other.shards[0].name, tmp_path / "s")
    with pytest.raises(StoreError, match=r"b-.*arrow does not belong to its store: views = "):
        Store(tmp_path / "s")


@pytest.mark.parametrize("content", ["", "{", "[]", '{"format": "ecalnb store", "version": 1}', "null"])
def test_a_broken_manifest_is_named(tmp_path: Path, files: list[Path], content: str) -> None:
    convert(files, tmp_path / "s")
    (tmp_path / "s" / "manifest.json").write_text(content)
    with pytest.raises(StoreError, match=r"manifest\.json cannot be read .*delete it"):
        Store(tmp_path / "s")


def test_bits_that_flip_on_disk_are_found(tmp_path: Path) -> None:
    original = showers(50)
    store = from_showers(original, tmp_path / "s")
    path = tmp_path / "s" / store.shards[0].name
    content = bytearray(path.read_bytes())
    place = content.find(original.images[original.images > 0][200].tobytes())
    content[place] ^= 1
    path.write_bytes(content)
    with pytest.raises(StoreError, match=r"showers\.arrow has checksum"):
        Store(tmp_path / "s").verify()


def test_impossible_cells_do_not_write_outside_the_image(tmp_path: Path) -> None:
    original = showers(3)
    store = from_showers(original, tmp_path / "s")
    path = tmp_path / "s" / store.shards[0].name
    first = np.flatnonzero(original.images[0])[:8].astype(np.uint16).tobytes()
    content = path.read_bytes()
    assert content.count(first) == 1
    path.write_bytes(content.replace(first, np.full(len(first) // 2, 60_000, np.uint16).tobytes()))
    with pytest.raises(StoreError, match=r"showers\.arrow is damaged: event 0 has cells that do not exist"):
        Store(tmp_path / "s").dense([1, 0])


def test_stores_of_showers_need_keys_and_a_free_place(tmp_path: Path) -> None:
    keyless = showers()
    keyless.table = keyless.table.drop(columns="entry")
    with pytest.raises(StoreError, match="have no column entry, the key"):
        from_showers(keyless, tmp_path / "s")
    assert not (tmp_path / "s").exists()
    from_showers(showers(5), tmp_path / "s")
    with pytest.raises(StoreError, match="is a store already"):
        from_showers(showers(6), tmp_path / "s")
    assert len(from_showers(showers(6), tmp_path / "s", overwrite=True)) == 6
    with pytest.raises(StoreError, match="no showers"):
        from_showers([], tmp_path / "t")
    with pytest.raises(StoreError, match="none of the 0 events"):
        from_showers(showers(0), tmp_path / "t")


# ------------------------------------------------------------------------------------------------------- fingerprint


def test_the_fingerprint_follows_the_data_and_not_their_order(tmp_path: Path) -> None:
    original = showers(30, label="electron", count=np.arange(30))
    shuffled = original[np.random.default_rng(0).permutation(30)]
    fingerprint = from_showers(original, tmp_path / "a").fingerprint()
    assert from_showers(shuffled, tmp_path / "b").fingerprint() == fingerprint
    changed = []
    for i, column in enumerate(["label", "count", "en3d", "image", "cell", "name"]):
        other = Showers(original.images.copy(), original.table.copy(), SMALL)
        hit = tuple(np.argwhere(other.images[4])[0])
        if column == "image":
            other.images[4][hit] = np.nextafter(other.images[4][hit], np.float32(9))
        elif column == "cell":
            other.images[4] = np.roll(other.images[4], 1)
        elif column == "name":
            other.table = other.table.rename(columns={"count": "number"})
        elif column == "label":
            other.table.loc[4, "label"] = "positron"
        else:
            other.table.loc[4, column] += 1
        changed.append(from_showers(other, tmp_path / f"c{i}").fingerprint())
    assert len({fingerprint, *changed}) == 7
    fewer = from_showers(original[:29], tmp_path / "d")
    assert fewer.fingerprint() != fingerprint


# ------------------------------------------------------------------------------------------------------- merging


def test_merging_keeps_events_order_and_fingerprint(tmp_path: Path, files: list[Path]) -> None:
    store = convert(files, tmp_path / "s")
    merged = store.merge(tmp_path / "deep" / "m", events_per_shard=80)
    assert [shard.n_events for shard in merged.shards] == [80, 40]
    assert merged.fingerprint() == store.fingerprint()
    pd.testing.assert_frame_equal(merged.table(), store.table())
    np.testing.assert_array_equal(merged.dense(slice(None)), store.dense(slice(None)))
    merged.verify()
    assert len(convert(files, tmp_path / "deep" / "m")) == 120  # it knows its sources
    with pytest.raises(StoreError, match="exists; expected a new folder"):
        store.merge(tmp_path / "deep" / "m")
    assert leftovers(tmp_path) == []


def test_an_interrupted_merge_leaves_nothing(tmp_path: Path, files: list[Path]) -> None:
    store = convert(files, tmp_path / "s")
    os.truncate(tmp_path / "s" / store.shards[2].name, 5000)
    with pytest.raises(StoreError, match="5000 bytes"):
        store.merge(tmp_path / "m", events_per_shard=10)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["root", "s"]


# ------------------------------------------------------------------------------------- kills, full disks, concurrency

CONVERT = """
import os, resource, sys, time
from ecalnb.store import convert

def patient(table):
    if os.environ.get("WAIT") and table["entry"].iloc[0] > 0 and table["pdg"].iloc[0] == 2212:
        print("half-way", flush=True)
        time.sleep(60)
    return table["entry"] >= 0

if __name__ == "__main__":
    if limit := int(os.environ.get("LIMIT", 0)):
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    output, *files = sys.argv[1:]
    try:
        print(len(convert(files, output, selection=patient, chunk=16)))
    except ValueError as error:
        sys.exit(f"{type(error).__name__}: {error}")
"""


@pytest.fixture
def command(tmp_path: Path, monkeypatch) -> list[str]:
    script = tmp_path / "script.py"
    script.write_text(CONVERT)
    monkeypatch.setenv("PYTHONPATH", PYTHONPATH)
    return [sys.executable, str(script), str(tmp_path / "s")]


def test_after_kill_9_half_way_the_same_command_finishes(tmp_path: Path, files: list[Path], command, caplog) -> None:
    command = [*command, *map(str, files)]
    with subprocess.Popen(command, env={**os.environ, "WAIT": "1"}, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "half-way\n"
        process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    assert len(leftovers(tmp_path)) == 1
    caplog.set_level(logging.WARNING)
    assert len(Store(tmp_path / "s")) == 40  # the first file, whole
    assert "1 unfinished shards" in caplog.text
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == "120\n"
    assert leftovers(tmp_path) == []
    store = Store(tmp_path / "s")
    store.verify()
    assert store.fingerprint() == convert(files, tmp_path / "t").fingerprint()


def test_a_full_disk_is_one_sentence_and_leaves_what_was_whole(tmp_path: Path, files: list[Path], command) -> None:
    big = root_file(tmp_path / "root" / "z.root", 400, seed=5)
    sizes = {path: convert(path, tmp_path / path.stem).shards[0].n_bytes for path in (files[0], big)}
    limit = 2 * sizes[files[0]]
    assert sizes[big] > 2 * limit
    process = subprocess.run(
        [*command, str(files[0]), str(big)], env={**os.environ, "LIMIT": str(limit)}, capture_output=True, text=True
    )
    assert process.returncode == 1
    assert process.stderr.startswith(f"StoreError: {tmp_path / 's' / 'z'}-")
    assert "cannot be written" in process.stderr
    assert "File too large" in process.stderr
    assert "GB free there); nothing half-written is left" in process.stderr
    assert process.stderr.count("\n") == 1
    assert leftovers(tmp_path) == []
    assert len(Store(tmp_path / "s")) == 40
    done = subprocess.run([*command, str(files[0]), str(big)], capture_output=True, text=True, check=True)
    assert done.stdout == "440\n"


def test_processes_that_convert_at_once_do_not_lose_each_others_shards(tmp_path: Path, command) -> None:
    paths = [root_file(tmp_path / f"{i}.root", 20, seed=i) for i in range(8)]
    groups = [paths[::2], paths[1::2], paths[2:5]]  # the third does work of the others too
    processes = [subprocess.Popen([*command, *map(str, group)], stderr=subprocess.PIPE, text=True) for group in groups]
    for process in processes:
        _, errors = process.communicate(timeout=120)
        assert process.returncode == 0, errors
    store = Store(tmp_path / "s")
    store.verify()
    assert len(store) == 160
    assert store.fingerprint() == convert(paths, tmp_path / "t").fingerprint()
    assert leftovers(tmp_path) == []


def test_a_manifest_that_missed_a_shard_is_made_up_for(tmp_path: Path, files: list[Path]) -> None:
    convert(files[:2], tmp_path / "s")
    stale = (tmp_path / "s" / "manifest.json").read_text()
    convert(files, tmp_path / "s")
    (tmp_path / "s" / "manifest.json").write_text(stale)
    assert len(Store(tmp_path / "s")) == 120
    assert len(json.loads((tmp_path / "s" / "manifest.json").read_text())["shards"]) == 2


def test_the_number_of_shards_is_not_limited_by_open_files(tmp_path: Path) -> None:
    (tmp_path / "s").mkdir()
    for i in range(60):
        store = from_showers(showers(3, seed=i), tmp_path / "one")
        (tmp_path / "one" / "showers.arrow").rename(tmp_path / "s" / f"{i:02d}.arrow")
        shutil.rmtree(tmp_path / "one")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    in_use = max(map(int, os.listdir("/dev/fd")))
    resource.setrlimit(resource.RLIMIT_NOFILE, (in_use + 20, hard))
    try:
        store = Store(tmp_path / "s")
        images = store.dense(np.arange(180)[::-1])
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    expected = np.concatenate([showers(3, seed=i).images for i in range(60)])
    np.testing.assert_array_equal(images, expected[::-1])


def test_kernels_work_where_machine_code_cannot_be_kept(monkeypatch) -> None:
    compile_ = numba.njit

    def read_only(**options):
        if options.get("cache"):
            raise RuntimeError("cannot cache function: no locator available for file")
        return compile_(**options)

    monkeypatch.setattr(_compiled.nb, "njit", read_only)
    assert _compiled.jit(lambda x: x + 1)(2) == 3
