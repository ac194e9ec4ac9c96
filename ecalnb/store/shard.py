"""One shard of a store: an Arrow IPC file with the hit cells and the event table of some events.

Each row is an event. The column ``hits`` is a list of structs of ``cell`` (layer * cells in a layer + cell; uint16, or
uint32 for a calorimeter of more than 65,536 cells) and ``energy`` (float32, GeV) of the cells that are not zero; every
other column is one of the event table. Record batches hold up to 8,192 events and are not compressed, so that the file
can be mapped into memory and read in any order.

A shard describes itself: the schema's metadata hold format, version, geometry and conversion options, which are known
before the first event, and the metadata of a last, empty record batch hold what is known at the end (`Shard`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa

from .._atomic import replacing
from ..geometry import Calorimeter
from ._batches import HITS, as_schema, joined, label_counts
from ._checksum import checksum
from .errors import DamagedShard, StoreError

__all__ = [
    "FORMAT",
    "SUFFIX",
    "VERSION",
    "Shard",
    "check_version",
    "header",
    "read_batches",
    "read_shard",
    "write_shard",
]

FORMAT = "ecalnb store"
VERSION = 1
SUFFIX = ".arrow"
_KEY = b"ecalnb"
_UNREADABLE = (pa.ArrowException, OSError, LookupError, TypeError, json.JSONDecodeError, UnicodeDecodeError)
_KINDS = {"name": str, "n_bytes": int, "modified": int, "n_events": int, "n_hits": int, "checksum": str}
_KINDS |= {"labels": dict, "sources": list}


@dataclass(frozen=True)
class Shard:
    """What is known of a shard without reading its events.

    Parameters
    ----------
    name : str
        File name in the folder of the store.
    n_bytes, modified : int
        Size and time of modification (ns) of the file.
    n_events, n_hits : int
        Events, and cells with energy.
    checksum : str
        Hexadecimal sum over the events of a 64-bit hash of all that is known of each.
    labels : dict
        Number of events of each label; those without are under ``""``.
    sources : tuple of dict
        For each file that the events come from: ``file``, ``key`` (checksum), ``label``, ``n_read``, ``n_events``, ...
    common : dict
        ``format``, ``version``, ``geometry`` and ``options``: the same for all shards of a store.
    """

    name: str
    n_bytes: int
    modified: int
    n_events: int
    n_hits: int
    checksum: str
    labels: dict[str, int]
    sources: tuple[dict[str, Any], ...]
    common: dict[str, Any] = field(repr=False)

    @property
    def place(self) -> tuple[str, str, str]:
        """What shards of a store are sorted by: name of the file that it was made of, then its events.

        A file's own checksum, which stands in the shard's name, is another each time that the same events are written.
        """
        return re.sub(rf"-[0-9a-f]{{16}}{SUFFIX}$", "", self.name), self.checksum, self.name

    def entry(self) -> dict[str, Any]:
        """Entry of the manifest: all but what is common to the store."""
        return {name: value for name, value in asdict(self).items() if name != "common"}

    @classmethod
    def from_entry(cls, entry: dict[str, Any], common: dict[str, Any], where: Path) -> Shard:
        """Shard of an entry of the manifest ``where``."""
        if not isinstance(entry, dict) or entry.keys() != _KINDS.keys():
            odd = ", ".join(sorted(entry.keys() ^ _KINDS.keys())) if isinstance(entry, dict) else repr(entry)
            raise StoreError(
                f"{where}: an entry has missing or unknown keys ({odd}); expected {', '.join(sorted(_KINDS))}"
            )
        for name, kind in _KINDS.items():
            if not isinstance(entry[name], kind):
                raise StoreError(f"{where}: {name} of a shard is {entry[name]!r}; expected {kind.__name__}")
        return cls(**{**entry, "sources": tuple(entry["sources"])}, common=common)


def header(geometry: Calorimeter, options: dict[str, Any]) -> dict[str, Any]:
    """Describe what all shards of a store have in common, as it stands in their metadata and in the manifest."""
    common = {"format": FORMAT, "version": VERSION, "geometry": asdict(geometry), "options": options}
    return dict(json.loads(json.dumps(common)))  # as it will be after reading: tuples are lists


def check_version(common: dict[str, Any], where: Path) -> None:
    """Refuse what is not a store, or one of another version."""
    if common.get("format") != FORMAT:
        raise StoreError(f"{where} says that it is {common.get('format')!r}; expected {FORMAT!r}")
    if common.get("version") != VERSION:
        raise StoreError(
            f"{where} has schema version {common.get('version')}, this ecalnb reads version {VERSION}; "
            "convert the ROOT files again, or use the ecalnb that wrote it"
        )
    for part in ("geometry", "options"):
        if not isinstance(common.get(part), dict):
            raise StoreError(f"{where} is damaged: {part} is {common.get(part)!r}; expected a table")


def write_shard(
    path: Path, batches: Iterable[pa.RecordBatch], common: dict[str, Any], sources: Callable[[], list[dict[str, Any]]]
) -> Shard:
    """Write a shard under a temporary name and rename it when it is whole.

    Parameters
    ----------
    path : Path
        The shard.
    batches : iterable of pyarrow.RecordBatch
        Events, from `to_batches`; small batches are joined.
    common : dict
        From `header`.
    sources : callable
        Called at the end: where the events came from.

    Raises
    ------
    StoreError
        If the file cannot be written, or the columns change between batches.
    """
    n_events, n_hits, total = 0, 0, 0
    labels: dict[str, int] = {}
    metadata = {_KEY: json.dumps(common)}
    with replacing(path, StoreError) as temporary, open(temporary, "wb") as file:
        writer: pa.RecordBatchFileWriter | None = None
        schema = pa.schema([], metadata=metadata)
        for batch in joined(batches):
            if writer is None:
                schema = batch.schema.with_metadata(metadata)
                writer = pa.ipc.new_file(file, schema)
            batch = as_schema(batch, schema, path)
            writer.write_batch(batch)
            n_events += len(batch)
            n_hits += len(batch.column(HITS).values)
            total = (total + checksum(batch, HITS)) % 2**64
            for label, count in label_counts(batch).items():
                labels[label] = labels.get(label, 0) + count
        facts = {
            "n_events": n_events,
            "n_hits": n_hits,
            "checksum": f"{total:016x}",
            "labels": labels,
            "sources": sources(),
        }
        writer = writer or pa.ipc.new_file(file, schema)
        last = pa.RecordBatch.from_pylist([], schema=schema)
        writer.write_batch(last, custom_metadata={_KEY: json.dumps(facts)})
        writer.close()
    return read_shard(path)


def read_shard(path: Path) -> Shard:
    """Describe a shard from its metadata.

    Raises
    ------
    StoreError
        If there is no such file, it is truncated, not a shard, or of another version.
    """
    try:
        status = path.stat()
        with pa.memory_map(str(path)) as file:
            reader = pa.ipc.open_file(file)
            common = json.loads((reader.schema.metadata or {}).get(_KEY, b"{}"))
            check_version(common, path)
            last = reader.get_batch_with_custom_metadata(reader.num_record_batches - 1)
            facts = json.loads((last.custom_metadata or {})[_KEY])
        facts["sources"] = tuple(facts["sources"])
        return Shard(path.name, status.st_size, status.st_mtime_ns, **facts, common=common)
    except FileNotFoundError:
        raise StoreError(f"{path}: no such file; expected a shard of a store") from None
    except _UNREADABLE as error:
        message = f"{path} is truncated or not a shard: {str(error).splitlines()[0]}; convert its source again"
        raise DamagedShard(message) from error


def read_batches(path: Path, shard: Shard) -> list[pa.RecordBatch]:
    """Record batches of a shard, mapped into memory: nothing is read until it is used.

    Raises
    ------
    StoreError
        If the file is not the one that ``shard`` describes any more.
    """
    try:
        if (n_bytes := path.stat().st_size) != shard.n_bytes:
            raise StoreError(
                f"{path} has {n_bytes} bytes, {shard.n_bytes} were expected; it is truncated or was replaced"
            )
        with pa.memory_map(str(path)) as file:  # the mapping outlives the open file: no limit on the number of shards
            reader = pa.ipc.open_file(file)
            batches = [reader.get_batch(i) for i in range(reader.num_record_batches - 1)]
            names = reader.schema.names
    except _UNREADABLE as error:
        raise StoreError(f"{path} cannot be read: {str(error).splitlines()[0]}") from error
    if batches and HITS not in names:
        raise StoreError(f"{path} has no column {HITS!r}; it is damaged, convert its source again")
    if (n_events := sum(map(len, batches))) != shard.n_events:
        raise StoreError(f"{path} holds {n_events} events, {shard.n_events} were expected; convert its source again")
    return batches
