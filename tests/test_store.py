"""The store against what went into it."""

from __future__ import annotations

import pickle
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import uproot
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from toy_stores import SMALL, images_of, leftovers, root_file, showers

from ecalnb.geometry import Calorimeter
from ecalnb.showers import Showers
from ecalnb.store import StoreError, convert, from_showers
from ecalnb.store import _batches as batches_module


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
