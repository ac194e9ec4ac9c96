"""Checksum of events that does not depend on their order or on how they are divided into shards."""

from __future__ import annotations

import functools
import hashlib

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from ._kernels import add_hashes, hit_hashes, total_hash

__all__ = ["checksum"]


def checksum(batch: pa.RecordBatch, hits: str) -> int:
    """Sum modulo 2**64 of a hash of each event: its hits (column ``hits``) and all its other columns by name.

    Missing values count as if the column were not there, so that shards with different columns can be merged; numbers
    count by value, whatever their width.
    """
    column = batch.column(hits)
    energies = column.values.field("energy").to_numpy().view(np.uint32)
    cells = column.values.field("cell").to_numpy()
    factors = _factors(max(16, int(cells.max(initial=0)).bit_length()))
    hashes = hit_hashes(column.offsets.to_numpy(), cells, energies, factors)
    for name in batch.schema.names:
        if name != hits:
            bits, valid = _bits(batch.column(name))
            add_hashes(hashes, bits, valid, np.uint64(_hash(name)))
    return int(total_hash(hashes))


@functools.cache
def _factors(bits: int) -> npt.NDArray[np.uint64]:
    """Give a random odd number for each of ``2**bits`` cells, always the same: the raw stream of PCG64."""
    return np.random.PCG64(0).random_raw(2**bits) | np.uint64(1)


def _hash(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little")


def _bits(column: pa.Array) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.bool_]]:
    """Values as 64 bits each, and which are there."""
    valid = pc.is_valid(column).to_numpy(zero_copy_only=False)
    if pa.types.is_string(column.type):
        encoded = column.dictionary_encode()
        hashes = np.array([_hash(text) for text in encoded.dictionary.to_pylist()] or [0], np.uint64)
        return hashes[encoded.indices.fill_null(0).to_numpy()], valid
    values = (column.fill_null(False) if pa.types.is_boolean(column.type) else column.fill_null(0)).to_numpy(
        zero_copy_only=False
    )
    if values.dtype.kind == "f":
        return values.astype(np.float64).view(np.uint64), valid & ~np.isnan(values)
    return values.astype(np.uint64 if values.dtype.kind == "u" else np.int64).view(np.uint64), valid
