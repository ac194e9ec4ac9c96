"""From showers to Arrow record batches: sparse cells and event table."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from ..showers import Showers
from ._kernels import find_hits
from .errors import StoreError

__all__ = ["EVENTS_PER_BATCH", "HITS", "Selection", "as_schema", "joined", "label_counts", "passing", "to_batches"]

HITS = "hits"
"""Column of the hit cells; all others are of the event table."""

EVENTS_PER_BATCH = 8_192
"""Enough for quick look-up, few enough to need little memory."""

HITS_PER_EVENT = 300
"""Room for hits at first; more is made where it does not do."""

Selection = Callable[[pd.DataFrame], npt.ArrayLike]
"""Takes an event table and returns a boolean for each row."""


def to_batches(showers: Showers, rows: npt.NDArray[np.intp] | None = None) -> Iterator[pa.RecordBatch]:
    """Record batches of at most `EVENTS_PER_BATCH` events.

    Parameters
    ----------
    showers : Showers
        Events.
    rows : array of int, optional
        The events wanted, all unless told.

    Raises
    ------
    StoreError
        If the event table has a column that is neither numbers, truth values nor text, or one named ``hits``.
    """
    images = np.ascontiguousarray(showers.images).reshape(
        len(showers), showers.geometry.n_layers * showers.geometry.n_cells
    )
    rows = np.arange(len(showers)) if rows is None else rows
    cell_type = np.uint16 if images.shape[1] <= 2**16 else np.uint32
    for start in range(0, len(rows), EVENTS_PER_BATCH):
        chosen = rows[start : start + EVENTS_PER_BATCH]
        offsets = np.empty(len(chosen) + 1, np.int32)
        room = images.shape[1] + HITS_PER_EVENT * len(chosen)
        while True:
            cells, energies = np.empty(room, cell_type), np.empty(room, np.float32)
            if find_hits(images, chosen, offsets, cells, energies) == len(chosen):
                break
            room *= 2
        n_hits = offsets[-1]
        hits = pa.StructArray.from_arrays(
            [pa.array(cells[:n_hits]), pa.array(energies[:n_hits])],
            fields=[pa.field("cell", pa.from_numpy_dtype(cell_type)), pa.field("energy", pa.float32())],
        )
        whole = len(chosen) == len(showers) and start == 0 and len(rows) == len(showers)
        table = showers.table if whole and _is_arange(chosen) else showers.table.iloc[chosen]
        columns = {HITS: pa.ListArray.from_arrays(pa.array(offsets), hits)}
        for name in table.columns:
            if name == HITS or not isinstance(name, str):
                raise StoreError(f"the event table has a column {name!r}; a store needs text names other than {HITS!r}")
            columns[name] = _column(table[name])
        yield pa.record_batch(columns)


def passing(selection: Selection, table: pd.DataFrame) -> npt.NDArray[np.intp]:
    """Rows of a table that a selection keeps; an undecided (missing) answer keeps none.

    Raises
    ------
    StoreError
        If the answer is not one boolean a row.
    """
    answer: Any = selection(table)
    if not pd.api.types.is_bool_dtype(answer) or np.shape(answer) != (len(table),):
        kind = getattr(answer, "dtype", type(answer).__name__)
        raise StoreError(f"the selection {selection} gave {kind} {np.shape(answer)}; expected bool ({len(table)},)")
    return np.flatnonzero(pd.Series(answer).to_numpy(dtype=bool, na_value=False))


def _is_arange(rows: npt.NDArray[np.intp]) -> bool:
    return bool(len(rows)) and rows[0] == 0 and rows[-1] == len(rows) - 1 and bool((np.diff(rows) == 1).all())


def _column(series: pd.Series) -> pa.Array:
    if isinstance(series.dtype, np.dtype) and series.dtype.kind in "biuf":
        return pa.array(series.to_numpy())  # NaN stays NaN
    try:
        array = pa.array(series, from_pandas=True)
        if pa.types.is_integer(array.type) or pa.types.is_floating(array.type) or pa.types.is_boolean(array.type):
            return array
        return array.cast(pa.string())  # a column of missing values is text: label, in data
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError) as error:
        message = f"column {series.name!r} has dtype {series.dtype}; a store holds numbers, truth values and text"
        raise StoreError(message) from error


def joined(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Join small batches: thousands of them would slow every look-up."""
    waiting: list[pa.RecordBatch] = []
    for batch in batches:
        if len(batch):
            waiting.append(batch)
        if sum(map(len, waiting)) >= EVENTS_PER_BATCH // 4:
            yield _join(waiting)
            waiting = []
    if waiting:
        yield _join(waiting)


def _join(batches: list[pa.RecordBatch]) -> pa.RecordBatch:
    if len(batches) == 1:
        return batches[0]
    return pa.Table.from_batches([as_schema(b, batches[0].schema) for b in batches]).combine_chunks().to_batches()[0]


def as_schema(batch: pa.RecordBatch, schema: pa.Schema, path: Path | None = None) -> pa.RecordBatch:
    if batch.schema.equals(schema):
        return pa.record_batch(batch.columns, schema=schema)
    try:
        return pa.record_batch([batch.column(f.name).cast(f.type) for f in schema], schema=schema)
    except (KeyError, pa.ArrowInvalid) as error:
        raise StoreError(
            f"the columns of the event table change from one part of {path} to the next: {error}"
        ) from error


def label_counts(batch: pa.RecordBatch) -> dict[str, int]:
    if "label" not in batch.schema.names:
        return {"": len(batch)}
    counts = batch.column("label").value_counts().to_pylist()
    return {str(item["values"] or ""): item["counts"] for item in counts}
