"""Events to score, from wherever they are: a store, showers in memory or ROOT files, some at a time."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from .. import ntuples
from ..geometry import Calorimeter
from ..showers import Showers
from .batches import EventSource
from .errors import TrainingError

__all__ = ["Part", "PathLike", "Source", "count_events", "open_source", "parts"]

PathLike = str | os.PathLike[str]

Source = EventSource | Showers | PathLike | Sequence[PathLike]
"""A store or its directory, showers, or ROOT files."""

_CHUNK = 8192  # events of a store whose table rows are looked at together; cells come in batches


@dataclass(frozen=True)
class Part:
    """Some events of a source.

    Parameters
    ----------
    table : pandas.DataFrame
        Their rows of the event table.
    cells : callable
        Takes rows of `table` and returns their cells, float32 (n, layers, cells), GeV.
    geometry : Calorimeter
        The calorimeter of the cells.
    """

    table: pd.DataFrame
    cells: Callable[[npt.NDArray[np.int64]], npt.NDArray[np.float32]]
    geometry: Calorimeter


def open_source(source: Source) -> EventSource | Showers | list[PathLike]:
    """Open the store that a directory is; otherwise what there is, files as a list.

    Raises
    ------
    TrainingError
        If a file is no ROOT file by its name, such as a weights file given where events belong.
    """
    if isinstance(source, str | os.PathLike):
        if Path(source).is_dir():
            from ..store import Store

            return Store(source)
        source = [source]
    if not isinstance(source, Sequence):
        return source
    for path in source:
        if Path(path).suffix in (".safetensors", ".json", ".parquet", ".onnx"):
            raise TrainingError(f"{path} does not hold events; expected a store or ROOT files after the training runs")
    return list(source)


def parts(
    source: EventSource | Showers | list[PathLike], columns: list[str] | None, reading: dict[str, Any]
) -> Iterator[Part]:
    """Iterate over the events of a source in its order; memory does not grow with their number.

    Parameters
    ----------
    source : store, Showers or list of paths
        As :func:`open_source` gives it.
    columns : list of str or None
        Columns of the table that are needed; None for all.
    reading : dict
        For ROOT files, what :func:`ecalnb.ntuples.iterate` takes.

    Raises
    ------
    TrainingError
        If `reading` is given for something else.
    """
    if isinstance(source, list):
        return _from_showers(ntuples.iterate(source, columns=columns, **reading))
    if reading:
        raise TrainingError(f"{', '.join(reading)} can be given for ROOT files only")
    return _from_showers([source]) if isinstance(source, Showers) else _from_store(source, columns)


def count_events(source: EventSource | Showers | list[PathLike], reading: dict[str, Any]) -> int:
    """Count the events of a source, of ROOT files from their headers."""
    if not isinstance(source, list):
        return len(source)
    return sum(ntuples.count(source, schema=reading.get("schema")).values())


def _from_showers(chunks: Iterator[Showers] | list[Showers]) -> Iterator[Part]:
    for showers in chunks:
        yield Part(showers.table, showers.images.__getitem__, showers.geometry)


def _from_store(store: EventSource, columns: list[str] | None) -> Iterator[Part]:
    table = store.table(None if columns is None else [name for name in columns if name in store.columns])
    for start in range(0, len(table), _CHUNK):

        def cells(rows: npt.NDArray[np.int64], start: int = start) -> npt.NDArray[np.float32]:
            return store.dense(rows + start)

        yield Part(table.iloc[start : start + _CHUNK], cells, store.geometry)
