"""What a store could be made of: size, speed of writing and of shuffled batches, for docs/store-formats.md.

Not part of ``make bench``: most of these formats are slow enough at random access to make it wait.
"""

# ruff: noqa: T201
from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import importlib.util
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from bench_store import BATCH, repeat_events

from ecalnb import ntuples
from ecalnb.showers import Showers
from ecalnb.store import from_showers
from ecalnb.store._batches import to_batches

EVENTS = 40_000
BLOCK = (
    4096  # events of a compressed block, Parquet row group or HDF5 chunk row: a compromise of size and random access
)
SECONDS = 2.0

Read = Callable[[np.ndarray], np.ndarray]


def main() -> None:
    """Print the table in Markdown."""
    pa.set_cpu_count(1)
    showers = repeat_events(ntuples.read(ntuples.load_datasets()["geant4_sample"]), EVENTS)
    showers.table = showers.table[["file_id", "entry", "en3d"]]
    order = np.random.default_rng(1).permutation(EVENTS)[: EVENTS // BATCH * BATCH].reshape(-1, BATCH)
    formats: dict[str, Callable[[Showers, Path], Read]] = {
        "Arrow IPC, sparse, mapped (the store)": store,
        "Arrow IPC, sparse, lz4": lambda s, p: arrow(s, p, "lz4"),
        "Arrow IPC, sparse, zstd": lambda s, p: arrow(s, p, "zstd"),
        "Parquet, sparse, zstd": parquet,
        "npz, sparse, deflate": npz,
        "npy, dense float32, mapped": lambda s, p: npy(s, p, np.float32),
        "npy, dense float16, mapped (loses precision)": lambda s, p: npy(s, p, np.float16),
        "ROOT TTree, dense, zstd": root,
    }
    if importlib.util.find_spec("h5py"):
        formats["HDF5, dense, lzf, chunks of 16 events"] = hdf5
    print("| format | bytes an event | written, 1000/s | shuffled batches, 1000/s |\n|---|---|---|---|")
    for name, make in formats.items():
        with tempfile.TemporaryDirectory() as folder:
            make(showers[:100], Path(folder) / "warm-up")
            written = 0.0
            for attempt in range(3):
                path = Path(folder) / f"events-{attempt}"
                start = time.process_time()
                read = make(showers, path)
                written = max(written, EVENTS / (time.process_time() - start))
            size = sum(p.stat().st_size for p in ([path] if path.is_file() else path.rglob("*")))
            first = read(order[0])
            expected = showers.images[order[0]]
            np.testing.assert_allclose(
                first, expected, rtol=1e-3 if "float16" in name else 0, atol=1e-7 * ("float16" in name)
            )
            print(f"| {name} | {size / EVENTS:,.0f} | {written / 1e3:,.0f} | {rate(read, order) / 1e3:,.3g} |")


def rate(read: Read, order: np.ndarray) -> float:
    """Events a second of CPU time, best round of about `SECONDS`."""
    best, begin = 0.0, time.process_time()
    while time.process_time() - begin < SECONDS:
        start = time.process_time()
        for done, rows in enumerate(order, 1):  # noqa: B007
            read(rows)
            if time.process_time() - start > SECONDS:
                break
        best = max(best, done * BATCH / (time.process_time() - start))
    return best


def store(showers: Showers, path: Path) -> Read:
    """Write as the store does; so do the functions below in their formats, and each returns how to read a batch."""
    return from_showers(showers, path).dense


def sparse(showers: Showers) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Offsets, cells and energies, by the store's own kernels."""
    hits = pa.chunked_array([batch.column("hits") for batch in to_batches(showers)]).combine_chunks()
    cells, energies = (hits.values.field(name).to_numpy() for name in ("cell", "energy"))
    return hits.offsets.to_numpy(), cells, energies


def as_table(showers: Showers) -> pa.Table:
    """Put lists of cells and energies beside the event table."""
    offsets, cells, energies = sparse(showers)
    columns = {name: pa.array(showers.table[name].to_numpy()) for name in showers.table}
    lists = {"cell": pa.ListArray.from_arrays(offsets, cells), "energy": pa.ListArray.from_arrays(offsets, energies)}
    return pa.table({**lists, **columns})


def fill(
    rows: np.ndarray, parts: Callable[[int], tuple[np.ndarray, np.ndarray, np.ndarray]], shape: tuple[int, int]
) -> np.ndarray:
    """Dense images of rows from blocks of `BLOCK` events, each block unpacked once."""
    out = np.zeros((len(rows), shape[0] * shape[1]), np.float32)
    blocks = rows // BLOCK
    for block in np.unique(blocks):
        offsets, cells, energies = parts(int(block))
        for k in np.flatnonzero(blocks == block):
            first, last = offsets[rows[k] % BLOCK], offsets[rows[k] % BLOCK + 1]
            out[k, cells[first:last]] = energies[first:last]
    return out.reshape(-1, *shape)


def unpack(batch: pa.RecordBatch | pa.Table) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Offsets, cells and energies of a block."""
    cells, energies = (batch.column(name) for name in ("cell", "energy"))
    if isinstance(cells, pa.ChunkedArray):
        cells, energies = cells.combine_chunks(), energies.combine_chunks()
    return cells.offsets.to_numpy(), cells.values.to_numpy(), energies.values.to_numpy()


def arrow(showers: Showers, path: Path, compression: str) -> Read:
    """Compressed record batches."""
    table = as_table(showers)
    with pa.ipc.new_file(path, table.schema, options=pa.ipc.IpcWriteOptions(compression=compression)) as writer:
        writer.write_table(table, max_chunksize=BLOCK)
    reader = pa.ipc.open_file(pa.memory_map(str(path)), options=pa.ipc.IpcReadOptions(included_fields=[0, 1]))
    return lambda rows: fill(rows, lambda block: unpack(reader.get_batch(block)), showers.geometry.shape)


def parquet(showers: Showers, path: Path) -> Read:
    """Row groups."""
    pq.write_table(as_table(showers), path, compression="zstd", row_group_size=BLOCK)
    file = pq.ParquetFile(path, memory_map=True)

    def part(block: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        return unpack(file.read_row_group(block, columns=["cell", "energy"], use_threads=False))

    return lambda rows: fill(rows, part, showers.geometry.shape)


def npz(showers: Showers, path: Path) -> Read:
    """Compressed arrays: all are unpacked for each batch."""
    offsets, cells, energies = sparse(showers)
    with open(path, "wb") as file:
        np.savez_compressed(file, offsets=offsets, cells=cells, energies=energies, **dict(showers.table.items()))

    def read(rows: np.ndarray) -> np.ndarray:
        with np.load(path) as content:
            offsets, cells, energies = (content[name] for name in ("offsets", "cells", "energies"))
        out = np.zeros((len(rows), showers.geometry.n_layers * showers.geometry.n_cells), np.float32)
        for k, row in enumerate(rows):
            out[k, cells[offsets[row] : offsets[row + 1]]] = energies[offsets[row] : offsets[row + 1]]
        return out.reshape(-1, *showers.geometry.shape)

    return read


def npy(showers: Showers, path: Path, dtype: type) -> Read:
    """Dense images, mapped into memory."""
    images = np.lib.format.open_memmap(path, "w+", dtype, showers.images.shape)
    images[:] = showers.images
    images.flush()
    mapped = np.load(path, mmap_mode="r")
    return lambda rows: mapped[rows].astype(np.float32, copy=False)


def root(showers: Showers, path: Path) -> Read:
    """Write the ntuple itself: baskets are unpacked for each batch."""
    name = path.with_name("events.root")
    ntuples.write(showers, name)
    name.rename(path)
    with ntuples.open_tree(path, "t1") as tree:
        branch = tree.source["edep_cell"]
        edges = [branch.basket_entry_start_stop(i)[0] for i in range(branch.num_baskets)]

    def read(rows: np.ndarray) -> np.ndarray:
        out = np.empty((len(rows), *showers.geometry.shape), np.float32)
        baskets = np.searchsorted(edges, rows, side="right") - 1
        with ntuples.open_tree(path, "t1") as tree:
            for number in np.unique(baskets):
                chosen = baskets == number
                cells = next(tree.blocks("edep_cell", edges[number], edges[number] + 10**6))
                out[chosen] = (cells[rows[chosen] - edges[number]] * np.float64(1e-3)).reshape(
                    -1, *showers.geometry.shape
                )
        return out

    return read


def hdf5(showers: Showers, path: Path) -> Read:
    """Dense images in small compressed chunks."""
    import h5py

    with h5py.File(path, "w") as file:
        file.create_dataset("images", data=showers.images, chunks=(16, *showers.geometry.shape), compression="lzf")
    images = h5py.File(path)["images"]

    def read(rows: np.ndarray) -> np.ndarray:
        order = np.argsort(rows)  # h5py wants them increasing
        out = np.empty((len(rows), *showers.geometry.shape), np.float32)
        out[order] = images[rows[order]]
        return out

    return read


if __name__ == "__main__":
    main()
