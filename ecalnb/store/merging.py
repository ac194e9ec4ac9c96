"""Few shards in place of many."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa

from .._atomic import writing
from .errors import StoreError
from .manifest import write_manifest
from .shard import SUFFIX, Shard, read_batches, write_shard

__all__ = ["merge"]


def merge(folder: Path, shards: Sequence[Shard], common: dict[str, Any], output: Path, events_per_shard: int) -> None:
    """Write consecutive shards together; see `Store.merge`."""
    if output.exists():
        raise StoreError(f"{output} exists; expected a new folder for the merged store")
    temporary = output.with_name(f".{output.name}.{os.getpid()}.tmp")
    with writing(output, StoreError):
        temporary.mkdir(parents=True)
    try:
        for number, group in enumerate(_groups(shards, events_per_shard)):
            tables = [pa.Table.from_batches(read_batches(folder / s.name, s)) for s in group if s.n_events]
            tables = [table.replace_schema_metadata() for table in tables]
            schema = pa.unify_schemas([table.schema for table in tables], promote_options="permissive")
            batches = (batch for table in tables for batch in _widen(table, schema).to_batches())
            sources = [source for shard in group for source in shard.sources]
            write_shard(temporary / f"merged-{number:05d}{SUFFIX}", batches, common, partial(list, sources))
        write_manifest(temporary, common)
        with writing(output, StoreError):
            os.rename(temporary, output)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _widen(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """Add the columns that a table lacks, as missing values."""
    return pa.concat_tables([schema.empty_table(), table], promote_options="permissive").select(schema.names)


def _groups(shards: Sequence[Shard], n_events: int) -> list[list[Shard]]:
    groups: list[list[Shard]] = []
    for shard in shards:
        if not groups or sum(s.n_events for s in groups[-1]) + shard.n_events > n_events:
            groups.append([])
        groups[-1].append(shard)
    return groups
