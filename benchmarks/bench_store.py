"""Speed of the store: batches against a tensor in memory, conversion against uproot's reading alone.

Each number stands beside a yardstick that is measured in the same process, in turns with it, on one core; of several
rounds the best counts on either side. Rates are for a second of CPU time, which other work on the machine disturbs
less; those by the clock, which waiting for the disk slows too, stand beside them.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import awkward as ak
import numpy as np
import uproot
from ratios import Ratio, in_turns

from ecalnb import ntuples
from ecalnb.showers import Showers
from ecalnb.store import Store, convert, from_showers

BATCH = 128
SHARDS = 200


def rows(quick: bool) -> list[Ratio]:
    """Events a CPU second."""
    n, rounds = (4_000, 2) if quick else (100_000, 7)
    showers = repeat_events(ntuples.read(ntuples.load_datasets()["geant4_sample"]), n)
    with tempfile.TemporaryDirectory() as folder:
        return [*batches(showers, Path(folder), rounds), *conversion(Path(folder), n, rounds)]


def repeat_events(showers: Showers, n: int) -> Showers:
    """Draw ``n`` events, with keys of their own."""
    rng = np.random.default_rng(0)
    chosen = showers[rng.integers(0, len(showers), n)]
    chosen.table["entry"] = np.arange(n)
    return chosen


def batches(showers: Showers, folder: Path, rounds: int) -> list[Ratio]:
    """Shuffled dense batches from the page cache, from one shard and from many."""
    one = from_showers(showers, folder / "one")
    many = many_shards(showers, folder)
    order = np.random.default_rng(1).permutation(len(showers))[: len(showers) // BATCH * BATCH].reshape(-1, BATCH)
    out = np.empty((BATCH, *showers.geometry.shape), np.float32)
    for store in (one, many):
        np.testing.assert_array_equal(store.dense(order[0]), store.dense(order[0], out=out))
    np.testing.assert_array_equal(one.dense(order[0]), showers.images[order[0]])

    tasks: dict[str, Callable[[], object]] = {}
    yardstick = "numpy: images[rows], in memory"
    try:
        import torch
    except ImportError:
        pass
    else:
        torch.set_num_threads(1)
        tensor, indices = torch.from_numpy(showers.images), torch.from_numpy(order)
        yardstick = "torch: tensor[rows], in memory"
        tasks[yardstick] = lambda: [tensor[rows] for rows in indices]
    tasks["numpy: images[rows], in memory"] = lambda: [drop(showers.images[rows]) for rows in order]
    tasks["store"] = lambda: [drop(one.dense(rows)) for rows in order]
    tasks["store, memory used again"] = lambda: [drop(one.dense(rows, out=out)) for rows in order]
    tasks[f"store, {SHARDS} shards"] = lambda: [drop(many.dense(rows)) for rows in order]
    rates = in_turns(order.size, tasks, rounds)
    found = [
        Ratio(f"{name}, batches of {BATCH}", yardstick, own, rates[yardstick], 1.0)
        for name, own in rates.items()
        if name.startswith("store")
    ]
    (many.path / "manifest.json").rename(folder / "manifest.json")
    slow = in_turns(SHARDS, {"": lambda: Store(many.path)}, rounds)[""]
    (folder / "manifest.json").rename(many.path / "manifest.json")
    fast = in_turns(SHARDS, {"": lambda: Store(many.path)}, rounds)[""]
    return [*found, Ratio("store, shards opened by the manifest", "shards opened one by one", fast, slow)]


def drop(images: np.ndarray) -> None:
    """Let go of a batch, as a training step does."""


def many_shards(showers: Showers, folder: Path) -> Store:
    """Build a store of many small shards."""
    (folder / "many").mkdir()
    size = len(showers) // SHARDS
    for i, part in enumerate(showers.batches(size)):
        made = from_showers(part, folder / "part", overwrite=True)
        os.rename(made.path / made.shards[0].name, folder / "many" / f"{i:04d}.arrow")
    store = Store(folder / "many")
    (folder / "many" / "manifest.json").write_text(json.dumps(store.manifest))
    return store


def conversion(folder: Path, n: int, rounds: int) -> list[Ratio]:
    """ROOT file to store, against bare uproot of the same branches."""
    found = []
    for name, compression in (("zstd", uproot.ZSTD(5)), ("not compressed", None)):
        path = folder / "big.root"
        write_root(path, compression, n)
        branches = uproot.open(path)["t1"].keys()

        def read(path: Path = path, branches: list[str] = branches) -> None:
            for _ in uproot.iterate(f"{path}:t1", branches, step_size=19_290):  # 100 MB of images
                pass

        def store(path: Path = path) -> None:
            convert(path, folder / "store", overwrite=True)

        rates = in_turns(n, {"ours": store, "uproot": read}, rounds)
        found.append(Ratio(f"convert, ROOT {name}", "uproot: reading alone", rates["ours"], rates["uproot"], 0.6))
        for left in folder.iterdir():  # removing a store is not part of making it
            path.unlink() if left == path else shutil.rmtree(left)
    return found


def write_root(path: Path, compression: uproot.compression.Compression | None, n: int) -> None:
    """Write a file of the AMS layout with the branches of the packaged events, 2,000 events a basket."""
    members = list(ntuples.load_datasets()["geant4_sample"].parts())
    source = ak.concatenate([uproot.open(member.files[0])["t1"].arrays() for member in members])
    names = [name for name in source.fields if f"n{name}" in source.fields or name[:1] != "n"]
    rng = np.random.default_rng(0)
    with uproot.recreate(path, compression=compression) as file:
        tree = None
        for _ in range(n // 2000):
            chosen = source[rng.integers(0, len(source), 2000)]
            arrays = {n: chosen[n] if f"n{n}" in source.fields else np.asarray(chosen[n]) for n in names}
            if tree is None:
                types = {
                    n: "var * float32" if isinstance(a, ak.Array) else np.dtype((a.dtype, a.shape[1:]))
                    for n, a in arrays.items()
                }
                tree = file.mktree("t1", types)
            tree.extend(arrays)
