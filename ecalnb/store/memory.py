"""Stores of events that come from no ROOT file."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

import pyarrow as pa

from ..showers import Showers
from ._batches import to_batches
from ._folder import finish, prepare, refuse_nothing
from .errors import StoreError
from .reader import Store
from .shard import SUFFIX, header, write_shard

__all__ = ["from_showers"]


def from_showers(
    showers: Showers | Iterable[Showers], output: str | os.PathLike[str], *, overwrite: bool = False
) -> Store:
    """Write showers into a new store of one shard, for events that come from no ROOT file.

    Parameters
    ----------
    showers : Showers or iterable of Showers
        Events with their key, the columns ``file_id`` and ``entry``; an iterable is written as it comes.
    output : path
        Folder of the store.
    overwrite : bool
        Remove a store that is there.

    Raises
    ------
    StoreError
        If there is something at ``output``, a key is missing, it cannot be written, or there are no events.
    """
    folder = Path(output)
    parts = iter([showers] if isinstance(showers, Showers) else showers)
    first = next(parts, None)
    if first is None:
        raise StoreError(f"there are no showers to write to {folder}")
    prepare(folder, overwrite)
    if any(folder.glob(f"*{SUFFIX}")):
        raise StoreError(f"{folder} is a store already; use overwrite=True or another folder")
    common = header(first.geometry, {"selection": None, "bad_cells": None})

    def batches() -> Iterator[pa.RecordBatch]:
        for part in itertools.chain([first], parts):
            if lost := [name for name in ("file_id", "entry") if name not in part.table]:
                raise StoreError(f"showers for {folder} have no column {' and '.join(lost)}, the key of their events")
            if part.geometry != first.geometry:
                raise StoreError(f"showers for {folder} are of {part.geometry.name} after {first.geometry.name}")
            yield from to_batches(part)

    sources = [{"file": None, "key": None}]
    try:
        made = write_shard(folder / f"showers{SUFFIX}", batches(), common, lambda: sources)
        refuse_nothing(folder, [made], None)
    except BaseException:
        finish(folder, common)
        raise
    finish(folder, common)
    return Store(folder)
