"""Fingerprints and merging."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from toy_stores import SMALL, leftovers, showers

from ecalnb.showers import Showers
from ecalnb.store import StoreError, convert, from_showers


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
