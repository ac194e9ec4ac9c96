"""Reading a store: its events in any order, as dense images, tables and showers."""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from ..geometry import Calorimeter
from ..showers import Showers
from ..splits import Split, split_of
from ._batches import HITS, Selection, passing
from ._checksum import checksum
from ._kernels import scatter
from .errors import StoreError
from .manifest import MANIFEST, list_shards
from .merging import merge
from .shard import SUFFIX, Shard, read_batches

__all__ = ["Store"]

log = logging.getLogger(__name__)

Rows = slice | Sequence[int] | npt.NDArray[Any] | pd.Series


class Store:
    """Events on disk: sparse cells and event table, mapped into memory and read in any order.

    Row i of the table is event i of the images. The order is that of the names of the ROOT files, and of their events
    where two have one name: it depends neither on which process converted what first, nor on when files with the same
    events were written. It changes when files are added, the event key does not. What is added after the store was
    opened is not seen.

    Parameters
    ----------
    path : path
        The folder that `convert` made.

    Raises
    ------
    StoreError
        If it is not a store, is of another version, or a shard is missing, truncated or not of this store.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        if not self.path.is_dir():
            what = "is a file" if self.path.exists() else "does not exist"
            raise StoreError(f"{self.path} {what}; expected the folder of a store")
        listing = list_shards(self.path)
        listing.check(self.path)
        if listing.common is None:
            raise StoreError(f"{self.path} is not a store: it has neither {MANIFEST} nor shards (*{SUFFIX})")
        self._common = listing.common
        self.shards: tuple[Shard, ...] = tuple(listing.shards)
        try:
            self.geometry = Calorimeter(**self._common["geometry"])
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise StoreError(f"{self.path}: its geometry describes no calorimeter: {error}") from None
        self._starts = np.cumsum([0, *(shard.n_events for shard in self.shards)])
        self._mapped: _Mapped | None = None
        if unfinished := sorted(self.path.glob(f".*{SUFFIX}.*.tmp")):
            log.warning(
                "%s has %d unfinished shards (%s, ...): a conversion is at work, or was killed and should be run again",
                self.path, len(unfinished), unfinished[0].name,
            )  # fmt: skip

    def __len__(self) -> int:
        return int(self._starts[-1])

    def __repr__(self) -> str:
        size = sum(shard.n_bytes for shard in self.shards) / 1e6
        labels = ", ".join(f"{n} {label or 'without label'}" for label, n in self.labels.items()) or "empty"
        return (
            f"<Store {self.path}: {len(self)} events of {self.geometry.name} ({labels}), "
            f"{len(self.shards)} shards, {size:.1f} MB>"
        )

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_mapped": None}  # another process maps the files itself

    @property
    def manifest(self) -> dict[str, Any]:
        """Format, version, geometry, conversion options, and an entry for each shard with its sources."""
        return {**self._common, "shards": [shard.entry() for shard in self.shards]}

    @property
    def options(self) -> dict[str, Any]:
        """How the ROOT files were converted: ``schema``, ``selection``, ``bad_cells``."""
        return dict(self._common["options"])

    @property
    def labels(self) -> dict[str, int]:
        """Number of events of each label; those without one are under ``""``."""
        counts: dict[str, int] = {}
        for shard in self.shards:
            for label, n in shard.labels.items():
                counts[label] = counts.get(label, 0) + n
        return counts

    @property
    def columns(self) -> list[str]:
        """Names of the columns of the event table."""
        return list(self._map().table.column_names)

    def fingerprint(self) -> str:
        """Checksum of all events and of the geometry; the same for a merged store, and in any order of the events."""
        total = sum(int(shard.checksum, 16) for shard in self.shards) % 2**64
        text = json.dumps([self._common["version"], self._common["geometry"], len(self), total], sort_keys=True)
        return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()

    def verify(self) -> None:
        """Read everything and compare with the checksums.

        Raises
        ------
        StoreError
            If a shard is not what was written.
        """
        for shard in self.shards:
            total = sum(checksum(batch, HITS) for batch in read_batches(self.path / shard.name, shard)) % 2**64
            if f"{total:016x}" != shard.checksum:
                raise StoreError(
                    f"{self.path / shard.name} has checksum {total:016x}, {shard.checksum} was written; it is damaged, "
                    "delete it and convert its source again"
                )

    def dense(self, rows: Rows, out: npt.NDArray[np.float32] | None = None) -> npt.NDArray[np.float32]:
        """Images of events.

        Parameters
        ----------
        rows : array of int, slice or boolean mask
            Events, in any order and with repetitions.
        out : array of float32, shape (n, n_layers, n_cells), optional
            Contiguous array to write to, to use the same memory again.

        Returns
        -------
        array of float32, shape (n, n_layers, n_cells)
            Energies, GeV; ``out`` if that was given.

        Raises
        ------
        IndexError
            If there is no such row.
        ValueError
            If ``out`` has another shape or type.
        StoreError
            If a shard is damaged.
        """
        chosen = self._rows(rows)
        shape = (len(chosen), *self.geometry.shape)
        if out is None:
            out = np.empty(shape, np.float32)
        elif out.shape != shape or out.dtype != np.float32 or not out.flags.c_contiguous or not out.flags.writeable:
            raise ValueError(f"out is {out.dtype} {out.shape}; expected writeable, contiguous float32 {shape}")
        mapped = self._map()
        flat = out.reshape(len(chosen), self.geometry.n_layers * self.geometry.n_cells)
        done = scatter(mapped.starts, mapped.batches, chosen, mapped.wide, flat)
        if done != len(chosen):
            row = int(chosen[done])
            if not 0 <= row < len(self):
                raise IndexError(f"row {row} is not in {self.path}, which has {len(self)} events")
            shard = self.shards[int(np.searchsorted(self._starts, row, side="right")) - 1]
            raise StoreError(f"{self.path / shard.name} is damaged: event {row} has cells that do not exist")
        return out

    def table(self, columns: Sequence[str] | None = None, rows: Rows | None = None) -> pd.DataFrame:
        """Event table.

        Parameters
        ----------
        columns : sequence of str, optional
            Columns wanted, in this order; all unless told. Only they are read.
        rows : array of int, slice or boolean mask, optional
            Events wanted, in this order; all unless told.

        Returns
        -------
        pandas.DataFrame
            A copy. Columns that some shards do not have are missing values there.

        Raises
        ------
        StoreError
            If no shard has a column.
        IndexError
            If there is no such row.
        """
        table = self._map().table
        if columns is not None:
            columns = [columns] if isinstance(columns, str) else list(columns)
            if unknown := [name for name in columns if name not in table.column_names]:
                raise StoreError(f"{self.path} has no column {unknown[0]!r}; it has {', '.join(table.column_names)}")
            table = table.select(columns)
        if rows is not None:
            chosen = self._rows(rows)
            if len(chosen) and (chosen.min() < 0 or chosen.max() >= len(self)):
                row = chosen.min() if chosen.min() < 0 else chosen.max()
                raise IndexError(f"row {row} is not in {self.path}, which has {len(self)} events")
            table = table.take(chosen)
        frame = table.to_pandas()
        if table.num_columns == 0:
            return pd.DataFrame(index=pd.RangeIndex(table.num_rows))
        return frame.copy() if any(not block.flags.writeable for block in _blocks(frame)) else frame

    def showers(self, rows: Rows) -> Showers:
        """Events as showers.

        Parameters
        ----------
        rows : array of int, slice or boolean mask
            Events, in any order.

        Raises
        ------
        IndexError
            If there is no such row.
        """
        metadata = {"store": str(self.path), "fingerprint": self.fingerprint()}
        return Showers(self.dense(rows), self.table(rows=rows), self.geometry, metadata)

    def select(self, cut: Selection) -> npt.NDArray[np.intp]:
        """Rows that pass a cut, in order.

        Parameters
        ----------
        cut : callable
            Takes an event table and returns a boolean for each row. If it has an attribute ``columns``, only those are
            read.
        """
        columns = getattr(cut, "columns", None)
        return passing(cut, self.table(None if columns is None else sorted(columns)))

    def splits(self, split: str | Split = "default") -> npt.NDArray[np.str_]:
        """Sample that each event belongs to (see :func:`ecalnb.splits.split_of`), shape (n,)."""
        key = self.table(["file_id", "entry"])
        return split_of(key["file_id"].to_numpy(), key["entry"].to_numpy(), split)

    def merge(self, output: str | os.PathLike[str], *, events_per_shard: int = 500_000) -> Store:
        """Write the same events into a new store with fewer shards.

        Parameters
        ----------
        output : path
            A folder that does not exist; it appears when it is whole.
        events_per_shard : int
            Consecutive shards are put together until they have so many events.

        Raises
        ------
        StoreError
            If ``output`` exists or cannot be written.
        """
        merge(self.path, self.shards, self._common, Path(output), events_per_shard)
        return Store(output)

    def _rows(self, rows: Rows) -> npt.NDArray[np.int64]:
        if isinstance(rows, slice):
            return np.arange(*rows.indices(len(self)))
        array = np.asarray(rows)
        if array.dtype == bool and array.shape == (len(self),):
            return np.flatnonzero(array)
        if array.ndim == 1 and (array.dtype.kind in "iu" or not array.size):
            return np.ascontiguousarray(array, dtype=np.int64)
        raise IndexError(
            f"rows are {array.dtype} {array.shape}; expected integers (n,), a slice or a boolean mask ({len(self)},)"
        )

    def _map(self) -> _Mapped:
        if self._mapped is None:
            self._mapped = _Mapped([b for s in self.shards for b in read_batches(self.path / s.name, s)])
        return self._mapped


class _Mapped:
    """The record batches of all shards as the kernel and pandas want them, without a copy."""

    def __init__(self, batches: list[pa.RecordBatch]) -> None:
        self.starts = np.cumsum([0, *map(len, batches)], dtype=np.int64)
        hits = [batch.column(HITS) for batch in batches]
        self.wide = any(pa.types.is_uint32(column.type.value_type.field("cell").type) for column in hits)
        self.batches = np.array([_addresses(column) for column in hits], dtype=np.int64).reshape(-1, 4)
        self._hits = hits  # keeps the mappings alive
        parts = [pa.Table.from_batches([b.drop_columns([HITS])]).replace_schema_metadata() for b in batches]
        self.table = pa.concat_tables(parts, promote_options="permissive") if parts else pa.table({})


def _addresses(hits: pa.ListArray) -> tuple[int, int, int, int]:
    """Row of the table that `scatter` reads."""
    _, offsets, _, _, cells, _, energies = hits.buffers()
    address = [0 if buffer is None else buffer.address for buffer in (offsets, cells, energies)]
    return address[0], address[1], address[2], len(hits.values)


def _blocks(frame: pd.DataFrame) -> list[npt.NDArray[Any]]:
    return [column for name in frame if isinstance(column := frame[name].array, np.ndarray)]
