"""Where the events of a display come from: what it asks of showers, a store and a ROOT file alike."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt
import pandas as pd

from ..geometry import Calorimeter
from ..ntuples import iterate, read
from ..showers import Showers
from ..store import Store

__all__ = ["Rows", "Source", "SourceLike", "open_source"]

Rows = npt.NDArray[np.int64]
SourceLike = Showers | Store | str | os.PathLike[str]


class Source(Protocol):
    """Events that can be asked for columns and for single events."""

    geometry: Calorimeter

    def __len__(self) -> int: ...

    @property
    def columns(self) -> list[str]:
        """Names of the columns of the table."""

    def table(self, columns: Sequence[str], rows: Rows | None) -> pd.DataFrame:
        """Columns of some events, or of all."""

    def shower(self, row: int) -> Showers:
        """One event."""


class InMemory:
    """Showers as a source."""

    def __init__(self, showers: Showers) -> None:
        self.showers, self.geometry = showers, showers.geometry

    def __len__(self) -> int:
        return len(self.showers)

    @property
    def columns(self) -> list[str]:
        return [str(name) for name in self.showers.table.columns]

    def table(self, columns: Sequence[str], rows: Rows | None) -> pd.DataFrame:
        table = self.showers.table[list(columns)]
        return table if rows is None else table.iloc[rows].reset_index(drop=True)

    def shower(self, row: int) -> Showers:
        return self.showers[[row]]


class InStore:
    """A store as a source."""

    def __init__(self, store: Store) -> None:
        self.store, self.geometry = store, store.geometry
        self._ends = np.cumsum([shard.n_events for shard in store.shards])

    def __len__(self) -> int:
        return len(self.store)

    @property
    def columns(self) -> list[str]:
        return self.store.columns

    def table(self, columns: Sequence[str], rows: Rows | None) -> pd.DataFrame:
        return self.store.table(list(columns), rows)

    def shower(self, row: int) -> Showers:
        shard = self.store.shards[int(np.searchsorted(self._ends, row, side="right"))]
        origin = {name: shard.sources[0].get(name) for name in ("kind", "simulation")} if shard.sources else {}
        showers = self.store.showers([row])
        showers.metadata.update({name: value for name, value in origin.items() if value is not None})
        return showers


class InFile:
    """A ROOT file as a source; its table is read once, and an image when it is asked for."""

    def __init__(self, path: Path) -> None:
        self.path = path
        # Every entry is an event here, so that event 12 is entry 12; what is wrong with its cells is said with it.
        tables = []
        for part in iterate(path, bad_cells="zero"):
            self.geometry = part.geometry
            tables.append(part.table)
        self._table = pd.concat(tables, ignore_index=True) if tables else pd.DataFrame()

    def __len__(self) -> int:
        return len(self._table)

    @property
    def columns(self) -> list[str]:
        return [str(name) for name in self._table.columns]

    def table(self, columns: Sequence[str], rows: Rows | None) -> pd.DataFrame:
        table = self._table[list(columns)]
        return table if rows is None else table.iloc[rows].reset_index(drop=True)

    def shower(self, row: int) -> Showers:
        return read(self.path, entry_range=(row, row + 1), bad_cells="zero")


def open_source(source: SourceLike) -> Source:
    """Open events for browsing.

    Raises
    ------
    ValueError
        If there is nothing, or it is something else.
    """
    if isinstance(source, Showers):
        return InMemory(source)
    if isinstance(source, Store):
        return InStore(source)
    if not isinstance(source, (str, os.PathLike)):
        raise ValueError(f"source is {type(source).__name__}; expected Showers, a Store, or a path of one or of a file")
    path = Path(source).expanduser()
    if not path.exists():
        raise ValueError(f"{path} does not exist; expected a store or a ROOT file")
    return InStore(Store(path)) if path.is_dir() else InFile(path)
