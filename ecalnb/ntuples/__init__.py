"""AMS ECAL ntuples: ROOT files to and from `Showers`, with canonical columns, labels and event keys.

Event key
---------
Every row has the columns ``file_id`` (checksum of the beginning and the size of the file that the event was first read
from) and ``entry`` (its number there). Files written by `write` carry the key of each event in the branches
``ecalnb_file_id`` and ``ecalnb_entry``, so that copies, skims and merged files keep it; see :mod:`ecalnb.splits`.

Labels
------
The column ``label`` is what the caller says, else what the dataset says, else the particle that the ``pdg`` branch
names, else missing.

Weights
-------
Events of a dataset have its weight in the column ``weight``, times the weight that events of the file have of
themselves (branch ``ecalnb_weight``), as importance sampling gives it.
"""

from __future__ import annotations

import itertools
import json
import logging
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import get_args

from .._progress import progress
from ..datasets import Dataset, load_datasets
from ..geometry import AMS, Calorimeter
from ..rootio import RootError, chunk_entries, find_files, open_tree, write_tree
from ..schema import Schema, load_schema
from ..showers import Showers
from .cells import BadCells, BadCellsPolicy
from .reader import NOTE, PROVENANCE, Source, TreeReader
from .writer import branches

__all__ = ["BadCells", "BadCellsPolicy", "Dataset", "Files", "count", "iterate", "load_datasets", "read", "write"]

log = logging.getLogger(__name__)

Files = str | os.PathLike[str] | Dataset | Sequence[str | os.PathLike[str] | Dataset]
"""What is read: paths, wildcards, datasets, or a list of them."""


def iterate(
    files: Files,
    *,
    schema: str | Path | Schema | None = None,
    geometry: Calorimeter = AMS,
    label: str | None = None,
    chunk: int | str = "100 MB",
    columns: Sequence[str] | None = None,
    bad_cells: BadCellsPolicy = "reject",
    entry_range: tuple[int, int | None] = (0, None),
) -> Iterator[Showers]:
    """Read files in chunks; memory does not grow with their size or number.

    Parameters
    ----------
    files : path, wildcard, Dataset, or a list of them
        What to read, in the order of the file names.
    schema : str, Path or Schema, optional
        Names and units of the branches; that of the dataset, or ``"ams"``, unless told.
    geometry : Calorimeter
        The calorimeter whose cells the files hold.
    label : str, optional
        What the events are, over what dataset and file say.
    chunk : int or str
        Events of a chunk, or the size of its images such as ``"100 MB"``. A chunk is of one file.
    columns : list of str, optional
        Columns of the table to read; all that the file has unless told. The event key, ``label`` and ``en3d`` are
        always there.
    bad_cells : {"reject", "zero", "error"}
        What to do with an event that has a NaN, infinite or negative cell, or no finite ``en3d``: leave it out, set the
        bad cells to zero, or stop. It is counted in ``metadata["bad_cells"]`` and reported in the log.
    entry_range : tuple of int
        First entry to read, and the one to stop before, in each file.

    Yields
    ------
    Showers
        With ``metadata``: ``file``, ``entries`` (first and one past the last), ``left_out`` (those of them that were
        rejected), ``schema``, ``bad_cells``, and what the dataset says. After rejections a chunk may be shorter, or
        empty.

    Raises
    ------
    RootError
        If a file is missing, damaged or has not the layout that the schema says; the message names the file.
    ValueError
        If an argument is not one of those above.
    """
    if bad_cells not in get_args(BadCellsPolicy):
        raise ValueError(f"bad_cells {bad_cells!r} is not one of {', '.join(map(repr, get_args(BadCellsPolicy)))}")
    n_cells = geometry.n_layers * geometry.n_cells
    step = chunk_entries(chunk, 4 * n_cells)
    # Found here and not at the first chunk, so that a wrong path is told at once.
    sources = _sources(files, schema, label)
    return _iterate(sources, geometry, step, columns, bad_cells, entry_range)


def _iterate(
    sources: list[Source],
    geometry: Calorimeter,
    step: int,
    columns: Sequence[str] | None,
    policy: BadCellsPolicy,
    entry_range: tuple[int, int | None],
) -> Iterator[Showers]:
    first, last = entry_range
    for source in sources:
        with open_tree(source.path, source.schema.tree) as tree:
            if tree.entries == 0:
                log.warning("%s: the tree %r is empty", source.path, tree.name)
            reader = TreeReader(tree, source, geometry, columns)
            stop = tree.entries if last is None else min(last, tree.entries)
            total = BadCells(policy)
            for showers, report in reader.chunks(step, max(0, first), stop, policy):
                total += report
                yield showers
            if total:
                log.warning("%s: %s", source.path, total)


def read(
    files: Files,
    *,
    schema: str | Path | Schema | None = None,
    geometry: Calorimeter = AMS,
    label: str | None = None,
    columns: Sequence[str] | None = None,
    bad_cells: BadCellsPolicy = "reject",
    entry_range: tuple[int, int | None] = (0, None),
    n_max: int | None = None,
) -> Showers:
    """Read files into memory, 5 kB an event; for more than fits use `iterate`, or convert them to a store.

    Parameters
    ----------
    files, schema, geometry, label, columns, bad_cells, entry_range
        See `iterate`.
    n_max : int, optional
        Stop after so many events.

    Returns
    -------
    Showers
        With ``metadata["bad_cells"]`` for all files.

    Raises
    ------
    RootError
        As `iterate`, and if there are no events at all.
    """
    parts: list[Showers] = []
    report = BadCells(bad_cells)
    wanted = float("inf") if n_max is None else n_max
    chunk: int | str = "100 MB" if n_max is None else max(1, min(n_max, 20_000))
    chunks = iterate(
        files,
        schema=schema,
        geometry=geometry,
        label=label,
        chunk=chunk,
        columns=columns,
        bad_cells=bad_cells,
        entry_range=entry_range,
    )
    there = sum(count(files, schema=schema).values())
    with progress(total=min(there, wanted), description="Reading") as bar:
        for part in chunks:
            part = part[: int(min(len(part), wanted))]
            report += BadCells(**part.metadata["bad_cells"])
            parts.append(part)
            wanted -= len(part)
            bar.advance(len(part))
            if wanted <= 0:
                break
    if not any(len(part) for part in parts):
        names = ", ".join(str(source.path) for source in _sources(files, schema, label))
        raise RootError(f"there are no events in {names}" + (f": {report}" if report else ""))
    showers = Showers.concatenate([part for part in parts if len(part)])
    showers.metadata["bad_cells"] = report.to_dict()
    return showers


def count(files: Files, *, schema: str | Path | Schema | None = None) -> dict[Path, int]:
    """Entries of each file, from its header alone.

    Raises
    ------
    RootError
        If a file is missing, damaged, or has not the tree of the schema.
    """
    entries = {}
    for source in _sources(files, schema, None):
        with open_tree(source.path, source.schema.tree) as tree:
            entries[source.path] = tree.entries
    return entries


def write(
    showers: Showers | Iterable[Showers],
    path: str | os.PathLike[str],
    *,
    schema: str | Path | Schema = "ams",
    cell_bits: int | None = None,
    level: int = 5,
    overwrite: bool = False,
) -> int:
    """Write events as an AMS ntuple: a TTree, compressed with zstd, whole or not at all.

    Cells and columns come back as they were, to the precision of float32 in the file's units, with their event keys;
    those that were read with the same schema come back exactly. A column that the schema does not know is not written,
    and neither is ``label``: the column ``pdg`` is what says it in a file. The log names what is not written. What made
    the events, ``metadata["provenance"]`` of the first of them, goes into the file too, as the text
    ``ecalnb_provenance`` beside the tree.

    Parameters
    ----------
    showers : Showers or iterable of Showers
        Events, or their chunks.
    path : path
        The file.
    schema : str, Path or Schema
        Names and units of the branches.
    cell_bits : int, optional
        Round the cells to so many significant bits, 2 to 24: a relative error of at most 2 to the power of minus
        ``cell_bits``, and a file that compresses better.
    level : int
        Compression level of zstd, 1 to 19.
    overwrite : bool
        Whether a file that is there may be replaced.

    Returns
    -------
    int
        Events written.

    Raises
    ------
    FileExistsError, RootError
        If the file exists, cannot be written, or there are no events or not the columns that the schema requires.
    """
    if cell_bits is not None and not 2 <= cell_bits <= 24:
        raise ValueError(f"cell_bits {cell_bits!r} is not a number of bits from 2 to 24")
    path, layout = Path(path).expanduser(), load_schema(schema)
    chunks = iter([showers] if isinstance(showers, Showers) else showers)
    first = next(chunks, None)
    known = {} if first is None else first.metadata.get(PROVENANCE, {})
    return write_tree(
        path,
        layout.tree,
        (branches(part, layout, path, cell_bits) for part in itertools.chain([] if first is None else [first], chunks)),
        title="ECAL events",
        notes={NOTE: json.dumps(known)} if known else None,
        level=level,
        overwrite=overwrite,
    )


def _sources(files: Files, schema: str | Path | Schema | None, label: str | None) -> list[Source]:
    """Files to read, and how; datasets are taken apart."""
    items = [files] if isinstance(files, (str, os.PathLike, Dataset)) else list(files)
    paths = [item for item in items if not isinstance(item, Dataset)]
    sources = []
    if paths or not items:
        layout = load_schema("ams" if schema is None else schema)
        sources = [Source(path, layout, label) for path in find_files(paths)]
    for dataset in (part for item in items if isinstance(item, Dataset) for part in item.with_files()):
        layout = load_schema(dataset.schema if schema is None else schema)
        known = {
            "dataset": dataset.name,
            "kind": dataset.kind,
            "simulation": dataset.simulation,
            "weight": dataset.weight,
        }
        chosen = dataset.label if label is None else label
        sources += [Source(path, layout, chosen, known) for path in find_files(dataset.files)]
    return sources
