"""Speed of the store: batches against a tensor in memory, conversion against uproot's reading alone.

Each number stands beside a yardstick that is measured in the same process, in turns with it, on one core; of several
rounds the best counts on either side. Rates are for a second of CPU time, which other work on the machine disturbs
less; those by the clock, which waiting for the disk slows too, stand beside them.
"""

# ruff: noqa: T201
from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import json
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import awkward as ak
import numpy as np
import uproot

from ecalnb import ntuples
from ecalnb.showers import Showers
from ecalnb.store import Store, convert, from_showers

EVENTS = 100_000
BATCH = 128
SHARDS = 200
ROUNDS = 7


def main() -> int:
    """Print a line for each benchmark; 1 if a target is missed."""
    showers = repeat_events(ntuples.read(ntuples.load_datasets()["geant4_sample"]), EVENTS)
    hits = np.count_nonzero(showers.images) / len(showers)
    print(f"{EVENTS:,} events of {hits:.0f} hit cells, one core, best of {ROUNDS} rounds; thousand events a CPU second")
    with tempfile.TemporaryDirectory() as folder:
        good = [*batches(showers, Path(folder)), *conversion(Path(folder))]
    return 0 if all(good) else 1


def repeat_events(showers: Showers, n: int) -> Showers:
    """Draw ``n`` events, with keys of their own."""
    rng = np.random.default_rng(0)
    chosen = showers[rng.integers(0, len(showers), n)]
    chosen.table["entry"] = np.arange(n)
    return chosen


def in_turns(n: int, tasks: dict[str, Callable[[], object]]) -> dict[str, tuple[float, float]]:
    """Best rates of each task over the rounds, events a second: of CPU time and by the clock."""
    best = {name: [np.inf, np.inf] for name in tasks}
    for _ in range(ROUNDS):
        for name, task in tasks.items():
            cpu, clock = time.process_time(), time.perf_counter()
            task()
            for i, seconds in enumerate((time.process_time() - cpu, time.perf_counter() - clock)):
                best[name][i] = min(best[name][i], seconds)
    return {name: (n / cpu, n / clock) for name, (cpu, clock) in best.items()}


def report(rates: dict[str, tuple[float, float]], yardstick: str, target: float) -> list[bool]:
    """Print rates and ratios to the yardstick; whether each reaches the target."""
    good = []
    for name, (cpu, clock) in rates.items():
        ratio = cpu / rates[yardstick][0]
        verdict = ""
        if name.startswith("store"):
            good.append(ratio >= target)
            verdict = f"   target {target:.2f} {'reached' if good[-1] else 'MISSED'}"
        by_clock = f"(by the clock {clock / 1e3:5.0f}, x {clock / rates[yardstick][1]:.2f})"
        print(f"  {name:32s} {cpu / 1e3:5.0f}   x {ratio:.2f}   {by_clock}{verdict}")
    return good


def batches(showers: Showers, folder: Path) -> list[bool]:
    """Shuffled dense batches from the page cache, from one shard and from many."""
    one = from_showers(showers, folder / "one")
    many = many_shards(showers, folder)
    order = np.random.default_rng(1).permutation(EVENTS)[: EVENTS // BATCH * BATCH].reshape(-1, BATCH)
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
    print(f"Shuffled dense batches of {BATCH}")
    good = report(in_turns(order.size, tasks), yardstick, target=1.0)

    opening: dict[str, Callable[[], object]] = {
        "from the manifest": lambda: Store(many.path),
        "from the manifest, and its first event": lambda: Store(many.path).dense([0]),
    }
    seconds = {name: SHARDS / rate for name, (_, rate) in in_turns(SHARDS, opening).items()}
    (many.path / "manifest.json").unlink()
    seconds["without a manifest"] = SHARDS / in_turns(SHARDS, {"": lambda: Store(many.path)})[""][1]
    for name, time_ in seconds.items():
        print(f"  opening {SHARDS} shards {name}: {time_ * 1e3:.1f} ms")
    return good


def drop(images: np.ndarray) -> None:
    """Let go of a batch, as a training step does."""


def many_shards(showers: Showers, folder: Path) -> Store:
    """Build a store of many small shards."""
    (folder / "many").mkdir()
    size = EVENTS // SHARDS
    for i, part in enumerate(showers.batches(size)):
        made = from_showers(part, folder / "part", overwrite=True)
        os.rename(made.path / made.shards[0].name, folder / "many" / f"{i:04d}.arrow")
    store = Store(folder / "many")
    (folder / "many" / "manifest.json").write_text(json.dumps(store.manifest))
    return store


def conversion(folder: Path) -> list[bool]:
    """ROOT file to store, against bare uproot of the same branches."""
    good = []
    for name, compression in (("zstd", uproot.ZSTD(5)), ("not compressed", None)):
        path = folder / "big.root"
        write_root(path, compression)
        branches = uproot.open(path)["t1"].keys()

        def read(path: Path = path, branches: list[str] = branches) -> None:
            for _ in uproot.iterate(f"{path}:t1", branches, step_size=19_290):  # 100 MB of images
                pass

        def store(path: Path = path) -> None:
            convert(path, folder / "store", overwrite=True)

        print(f"Conversion of {path.stat().st_size / 1e6:.0f} MB of ROOT, {name}")
        good += report(
            in_turns(EVENTS, {"uproot: reading alone": read, "store: convert": store}), "uproot: reading alone", 0.6
        )
        for left in folder.iterdir():  # removing a store is not part of making it
            path.unlink() if left == path else shutil.rmtree(left)
    return good


def write_root(path: Path, compression: uproot.compression.Compression | None) -> None:
    """Write a file of the AMS layout with the branches of the packaged events, 2,000 events a basket."""
    members = list(ntuples.load_datasets()["geant4_sample"].parts())
    source = ak.concatenate([uproot.open(member.files[0])["t1"].arrays() for member in members])
    names = [name for name in source.fields if f"n{name}" in source.fields or name[:1] != "n"]
    rng = np.random.default_rng(0)
    with uproot.recreate(path, compression=compression) as file:
        tree = None
        for _ in range(EVENTS // 2000):
            chosen = source[rng.integers(0, len(source), 2000)]
            arrays = {n: chosen[n] if f"n{n}" in source.fields else np.asarray(chosen[n]) for n in names}
            if tree is None:
                types = {
                    n: "var * float32" if isinstance(a, ak.Array) else np.dtype((a.dtype, a.shape[1:]))
                    for n, a in arrays.items()
                }
                tree = file.mktree("t1", types)
            tree.extend(arrays)


if __name__ == "__main__":
    sys.exit(main())
