"""Stores that are damaged, or none."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from toy_stores import root_file, showers

from ecalnb.geometry import AMS
from ecalnb.store import Store, StoreError, convert, from_showers


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
