"""Converting ROOT files into a store."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import uproot
from toy_stores import PYTHONPATH, cells_in_file, images_of, leftovers, root_file

from ecalnb.datasets import Dataset
from ecalnb.geometry import AMS
from ecalnb.rootio import RootError
from ecalnb.selection import Cut
from ecalnb.simulation import simulate_to_file
from ecalnb.store import Store, StoreError, convert


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
