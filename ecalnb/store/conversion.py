"""Conversion of ROOT files into a store, one shard a file."""

from __future__ import annotations

import logging
import multiprocessing
import os
import pickle
import re
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pyarrow as pa

from .. import ntuples
from .._atomic import writing
from .._progress import progress
from ..geometry import AMS, Calorimeter
from ..ntuples import BadCells, BadCellsPolicy, Dataset, Files
from ..rootio import RootError, file_id, find_files
from ..schema import Schema, load_schema
from ._batches import Selection, passing, to_batches
from ._describe import describe, digest
from ._folder import finish, prepare, refuse_nothing
from .errors import DamagedShard, StoreError
from .manifest import Listing, difference, list_shards
from .reader import Store
from .shard import SUFFIX, Shard, header, read_shard, write_shard

__all__ = ["convert", "convert_file"]

log = logging.getLogger(__name__)

KINDS = (None, "mc", "flight")


@dataclass(frozen=True)
class _Source:
    """A file, how to read it, and what the store remembers of it."""

    path: Path
    schema: Schema
    facts: dict[str, Any]


@dataclass(frozen=True)
class _Job:
    """All that a process needs to convert one file."""

    source: _Source
    shard: Path
    key: str
    common: dict[str, Any]
    geometry: Calorimeter
    selection: Selection | None
    bad_cells: BadCellsPolicy
    chunk: int | str


def convert(
    files: Files,
    output: str | os.PathLike[str],
    *,
    label: str | None = None,
    schema: str | Path | Schema | None = None,
    geometry: Calorimeter = AMS,
    selection: Selection | None = None,
    bad_cells: BadCellsPolicy = "reject",
    dataset: str | None = None,
    kind: str | None = None,
    chunk: int | str = "30 MB",
    jobs: int = 1,
    overwrite: bool = False,
) -> Store:
    """Convert ROOT files into a store, one shard a file.

    A shard is written under a temporary name and renamed when it is whole. Files that the store has already are passed
    over, so that running an interrupted conversion again finishes it, and files can be added to a store later, with
    other labels. Several processes or machines may convert different files into one store at the same time. Memory
    does not grow with the number or size of files.

    Parameters
    ----------
    files : path, wildcard, Dataset, or a list of them
        What to convert.
    output : path
        Folder of the store; made if it is not there.
    label : str, optional
        What the events are, over what dataset and file say (see :func:`ecalnb.ntuples.iterate`).
    schema : str, Path or Schema, optional
        Names and units of the branches; that of the dataset, or ``"ams"``, unless told.
    geometry : Calorimeter
        The calorimeter.
    selection : callable, optional
        Takes an event table and returns which rows to keep, for example a :class:`ecalnb.selection.Selection`.
    bad_cells : {"reject", "zero", "error"}
        What to do with events that have NaN, infinite or negative cell energies.
    dataset, kind : str, optional
        Name of the dataset, and ``mc`` or ``flight``, kept with the shards; for files that are given as paths.
    chunk : int or str
        Events, or bytes, to hold in memory at a time.
    jobs : int
        Processes; each converts one file at a time.
    overwrite : bool
        Remove a store that is there and begin anew.

    Returns
    -------
    Store
        All of the store, with the shards that it had before.

    Raises
    ------
    StoreError
        If ``output`` is something else than a store, the store was made with other options (geometry, selection,
        policy for bad cells) or a file is in it with another label, schema or dataset; if it cannot be written; if the
        selection leaves no event at all.
    ecalnb.rootio.RootError
        If a file cannot be read. The shards of the files before it remain.
    """
    if kind not in KINDS:
        raise StoreError(f"kind {kind!r} is not one of 'mc', 'flight'")
    if jobs < 1:
        raise StoreError(f"jobs is {jobs}; expected 1 or more processes")
    if bad_cells not in get_args(BadCellsPolicy):
        raise StoreError(f"bad_cells {bad_cells!r} is not one of {', '.join(map(repr, get_args(BadCellsPolicy)))}")
    sources = _sources(files, schema, {"label": label, "dataset": dataset, "kind": kind})
    chosen = None if selection is None else describe(selection)
    common = header(geometry, {"selection": chosen, "bad_cells": bad_cells})
    folder = Path(output)
    prepare(folder, overwrite)
    listing = list_shards(folder)
    if listing.common is not None and (text := difference(listing.common, common)):
        raise StoreError(f"{folder} is a store made in another way: now {text}; use overwrite=True or another folder")
    work = [
        _Job(source, shard, key, common, geometry, selection, bad_cells, chunk)
        for source, shard, key in _todo(sources, folder, listing)
    ]
    made: list[Shard] = []
    try:
        _run(work, jobs, made)
        refuse_nothing(folder, made, chosen)
    except BaseException:
        with suppress(StoreError):  # what went wrong first is what counts
            finish(folder, common)
        raise
    finish(folder, common)
    return Store(folder)


def convert_file(file: Files, output: str | os.PathLike[str], *, geometry: Calorimeter = AMS) -> Shard:
    """Convert one ROOT file into its shard, for a job of its own among many.

    The rest of the store is not looked at, and its manifest is left to a last call of `convert` with all files: so the
    work of a job does not grow with the number of files. A whole shard of the same file and facts stays as it is.

    Parameters
    ----------
    file : path or Dataset
        The file, or a dataset that is only that file.
    output : path
        Folder of the store; made if it is not there.
    geometry : Calorimeter
        The calorimeter.

    Raises
    ------
    StoreError
        If `file` stands for several files, or the shard cannot be written.
    ecalnb.rootio.RootError
        If the file cannot be read.
    """
    sources = _sources(file, None, {"label": None, "dataset": None, "kind": None})
    if len(sources) != 1:
        raise StoreError(f"{file} stands for {len(sources)} files; expected one")
    [source] = sources
    folder, key = Path(output), _key(source.path)
    common = header(geometry, {"selection": None, "bad_cells": "reject"})
    path = _shard_path(folder, source.path, key)
    with suppress(DamagedShard):
        there = read_shard(path) if path.exists() else None
        if there is not None and there.common == common and source.facts.items() <= there.sources[0].items():
            return there
    with writing(folder, StoreError):
        folder.mkdir(parents=True, exist_ok=True)
    return _convert_file(_Job(source, path, key, common, geometry, None, "reject", "30 MB"))


def _sources(files: Files, schema: str | Path | Schema | None, facts: dict[str, Any]) -> list[_Source]:
    """Files by path, and those of datasets with what these say."""
    items = [files] if isinstance(files, (str, os.PathLike, Dataset)) else list(files)
    paths = [item for item in items if not isinstance(item, Dataset)]
    parts = [part for item in items if isinstance(item, Dataset) for part in item.with_files()]
    sources = []
    if paths or not parts:
        layout = load_schema("ams" if schema is None else schema)
        sources = [_Source(path, layout, _facts(layout, facts)) for path in find_files(paths)]
    for part in parts:
        layout = load_schema(part.schema if schema is None else schema)
        known: dict[str, Any] = {"label": part.label, "dataset": part.name, "kind": part.kind}
        known |= {name: value for name, value in facts.items() if value is not None}
        known |= {"simulation": part.simulation, "weight": part.weight}
        sources += [_Source(path, layout, _facts(layout, known)) for path in find_files(part.files)]
    return sources


def _facts(schema: Schema, facts: dict[str, Any]) -> dict[str, Any]:
    return {"schema": f"{schema.name} {digest(schema)}", **facts}


def _key(path: Path) -> str:
    try:
        return f"{file_id(path):016x}"
    except OSError as error:
        raise RootError(f"{path} cannot be read: {error.strerror}") from error


def _shard_path(folder: Path, path: Path, key: str) -> Path:
    return folder / f"{re.sub(r'[^A-Za-z0-9._+-]+', '_', path.stem).lstrip('.')}-{key}{SUFFIX}"


def _todo(sources: list[_Source], folder: Path, listing: Listing) -> list[tuple[_Source, Path, str]]:
    """Files that are not in the store, with the shard that each will be and its checksum."""
    done = {source["key"]: source for shard in listing.shards for source in shard.sources}
    damaged = dict(listing.damaged)
    todo = []
    for source in sources:
        key = _key(source.path)
        if there := done.get(key):
            for name, value in source.facts.items():
                if there.get(name) != value:
                    raise StoreError(
                        f"{source.path} is in the store {folder} already, with {name} {there.get(name)!r}, not "
                        f"{value!r}; use overwrite=True or another folder"
                    )
            if Path(there["file"]).name != source.path.name:
                log.warning("%s is passed over: it is a copy of %s", source.path, there["file"])
            continue
        done[key] = {"file": str(source.path), **source.facts}
        shard = _shard_path(folder, source.path, key)
        if text := damaged.pop(shard.name, ""):
            log.warning("%s; doing so", text)
        todo.append((source, shard, key))
    for text in damaged.values():
        raise StoreError(text)
    return todo


def _run(work: list[_Job], jobs: int, made: list[Shard]) -> None:
    """Convert the files, in this process or in several, and add the shards to ``made`` as they come."""
    if not work:
        return
    total = sum(sum(ntuples.count(job.source.path, schema=job.source.schema).values()) for job in work)
    with progress(total=total, description="convert") as bar:
        if jobs == 1 or len(work) == 1:
            for job in work:
                made.append(_convert_file(job, bar.advance))
            return
        try:
            pickle.dumps(work[0])
        except Exception as error:  # pickle has no one exception for this
            raise StoreError(f"the selection cannot be sent to other processes ({error}); use jobs=1") from error
        context = multiprocessing.get_context("spawn")  # a fork would copy the threads of pyarrow and uproot
        with ProcessPoolExecutor(min(jobs, len(work)), mp_context=context) as pool:
            futures = {pool.submit(_convert_file, job): job for job in work}
            try:
                for future in as_completed(futures):
                    made.append(future.result())
                    bar.advance(made[-1].sources[0]["n_read"])
            except BrokenProcessPool as error:
                raise StoreError("a converting process was killed (out of memory?); convert again to go on") from error
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise


def _convert_file(job: _Job, advance: Callable[[float], None] = lambda _: None) -> Shard:
    source = job.source
    bad = BadCells(job.bad_cells)

    def batches() -> Iterator[pa.RecordBatch]:
        nonlocal bad
        for showers in ntuples.iterate(
            source.path,
            schema=source.schema,
            geometry=job.geometry,
            label=source.facts["label"],
            bad_cells=job.bad_cells,
            chunk=job.chunk,
        ):
            if "weight" in source.facts:
                own = showers.table.get("weight", 1.0)
                showers.table["weight"] = np.multiply(own, np.float32(source.facts["weight"])).astype(np.float32)
            part = BadCells(**showers.metadata["bad_cells"])
            bad += part
            yield from to_batches(showers, None if job.selection is None else passing(job.selection, showers.table))
            advance(part.events)

    def facts() -> list[dict[str, Any]]:
        known = {"file": str(source.path), "key": job.key, "n_read": bad.events, "bad_cells": bad.to_dict()}
        return [{**known, **source.facts}]

    shard = write_shard(job.shard, batches(), job.common, facts)
    if not shard.n_events:
        log.warning("%s: none of its %d events is kept", source.path, bad.events)
    return shard
