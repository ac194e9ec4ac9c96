"""ROOT files of nuclei: reading, writing, and simulating into them."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
import numpy.typing as npt

from ..rootio import RootError, Tree, file_id, find_files, open_tree, write_tree
from .sample import NucleiSample, concatenate
from .schema import NucleiSchema, Variable, load_nuclei_schema
from .simulation import simulate_blocks

__all__ = ["iterate_nuclei", "read_nuclei", "simulate_nuclei", "write_nuclei"]

log = logging.getLogger(__name__)


def write_nuclei(
    path: str | Path,
    samples: Iterable[NucleiSample],
    *,
    schema: str | Path = "default",
    notes: Mapping[str, str] | None = None,
    overwrite: bool = False,
) -> int:
    """Write events in the layout of a schema; truth is written if they have it.

    Parameters
    ----------
    path : path
        The file.
    samples : iterable of NucleiSample
        The events, in pieces.
    schema : str or Path
        The layout.
    notes : dict of str, optional
        Texts to write beside the tree, by name.
    overwrite : bool
        Whether a file that is there may be replaced.

    Returns
    -------
    int
        Events written.
    """
    layout = load_nuclei_schema(schema)
    chunks = (_branches(sample, layout) for sample in samples)
    return write_tree(Path(path), layout.tree, chunks, notes=notes, level=1, overwrite=overwrite)


def simulate_nuclei(
    path: str | Path, n: int, *, schema: str | Path = "default", overwrite: bool = False, **settings: Any
) -> int:
    """Simulate events into a file, in the memory of one block.

    Settings are those of :func:`ecalnb.nuclei.simulate_blocks`.
    """
    notes = {"simulation": f"ecalnb nuclei: {n} events, {settings}"}
    return write_nuclei(path, simulate_blocks(n, **settings), schema=schema, notes=notes, overwrite=overwrite)


def _branches(sample: NucleiSample, layout: NucleiSchema) -> dict[str, npt.NDArray[Any]]:
    arrays: dict[str, npt.NDArray[Any]] = {}
    for variable in layout.variables:
        first = layout.offsets[variable.name]
        block = sample.values[:, first : first + variable.elements]
        if variable.missing is not None:
            block = np.where(np.isnan(block), np.float32(variable.missing), block)
        arrays[variable.branch or variable.name] = block[:, 0] if variable.elements == 1 else block
    if sample.charge is not None:
        charge, place, rigidity = sample.truth
        arrays[layout.truth["charge"]] = charge.astype(np.int32)
        arrays[layout.truth["place"]] = place.astype(np.int32)
        arrays[layout.truth["rigidity"]] = rigidity
    return arrays


def iterate_nuclei(
    files: str | Path | Sequence[str | Path], *, schema: str | Path = "default", step: int = 100_000
) -> Iterator[NucleiSample]:
    """Read events in pieces.

    Variables whose branch is not in the files are NaN, named in the sample's ``missing``, and named in a warning.

    Parameters
    ----------
    files : path, wildcard, or several
        The files.
    schema : str or Path
        Their layout.
    step : int
        Most events of a piece.

    Raises
    ------
    RootError
        If a file is missing or damaged, or has not the layout.
    ValueError
        If the truth is not consistent.
    """
    layout = load_nuclei_schema(schema)
    for path in find_files(files):
        with open_tree(path, layout.tree) as tree:
            present = [each for each in layout.variables if (each.branch or each.name) in tree.branches()]
            absent = tuple(each.name for each in layout.variables if each not in present)
            if not present:
                raise RootError(f"{path}: the tree {tree.name!r} has none of the variables of the schema {schema}")
            if absent:
                log.warning("%s has no %s; these variables are missing in all its events", path, ", ".join(absent))
            truth = _truth_branches(tree, layout)
            branches = [each.branch or each.name for each in present] + list(truth.values())
            source, entry = file_id(path), 0
            for arrays in tree.iterate(branches, step):
                n = len(arrays[branches[0]])
                keys = np.column_stack([np.full(n, source), np.arange(entry, entry + n)])
                yield _sample(arrays, layout, present, absent, truth, tree, keys)
                entry += n


def read_nuclei(files: str | Path | Sequence[str | Path], **settings: Any) -> NucleiSample:
    """Read all events; arguments as of `iterate_nuclei`."""
    return concatenate(list(iterate_nuclei(files, **settings)))


def _truth_branches(tree: Tree, layout: NucleiSchema) -> dict[str, str]:
    there = {name: branch for name, branch in layout.truth.items() if branch in tree.branches()}
    if there and len(there) < len(layout.truth):
        absent = ", ".join(sorted(set(layout.truth.values()) - set(there.values())))
        raise RootError(f"{tree.path}: the truth is not whole, {absent} is missing; expected all of it, or none")
    return there


def _sample(
    arrays: dict[str, ak.Array],
    layout: NucleiSchema,
    present: list[Variable],
    absent: tuple[str, ...],
    truth: dict[str, str],
    tree: Tree,
    keys: npt.NDArray[np.int64],
) -> NucleiSample:
    n = len(next(iter(arrays.values())))
    values = np.full((n, len(layout.columns)), np.nan, dtype=np.float32)
    for variable in present:
        block = _numbers(arrays[variable.branch or variable.name], variable, tree)
        first = layout.offsets[variable.name]
        values[:, first : first + variable.elements] = block
    known: dict[str, Any] = {}
    for name, branch in truth.items():
        numbers = np.asarray(ak.to_numpy(arrays[branch]))
        known[name] = numbers.astype(float) if name == "rigidity" else numbers.astype(np.int64)
    try:
        return NucleiSample(values, absent, keys=keys, **known)
    except ValueError as error:
        raise ValueError(f"{tree.path}: {error}") from None


def _numbers(array: ak.Array, variable: Variable, tree: Tree) -> npt.NDArray[np.float32]:
    """Numbers of a branch, shape (n, elements)."""
    expected = "a number" if variable.elements == 1 else f"{variable.elements} numbers"
    try:
        numbers = np.asarray(ak.to_numpy(array), dtype=np.float32)
    except (ValueError, TypeError):
        raise RootError(
            f"{tree.path}: the branch {variable.branch or variable.name!r} holds no fixed arrays of numbers; expected "
            f"{expected} an event"
        ) from None
    numbers = numbers[:, None] if numbers.ndim == 1 else numbers
    if numbers.ndim != 2 or numbers.shape[1] != variable.elements:
        shape = " x ".join(map(str, numbers.shape[1:]))
        raise RootError(
            f"{tree.path}: the branch {variable.branch or variable.name!r} holds {shape} numbers an event; expected "
            f"{expected}"
        )
    if variable.missing is not None:
        numbers = np.where(numbers == np.float32(variable.missing), np.float32(np.nan), numbers)
    return numbers
