"""From `Showers` to the branches of a file: the way back of :mod:`ecalnb.ntuples.reader`."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
import numpy.typing as npt

from ..rootio import RootError
from ..schema import UNITS, Column, Schema
from ..showers import Showers
from .reader import KEY_BRANCHES, WEIGHT_BRANCH

__all__ = ["branches"]

log = logging.getLogger(__name__)


def branches(showers: Showers, schema: Schema, path: Path, cell_bits: int | None) -> dict[str, Any]:
    """Arrays of a file by branch.

    Raises
    ------
    RootError
        If the table lacks a column that the schema requires.
    """
    table = showers.table
    arrays: dict[str, Any] = {}
    written = {"label"} if "pdg" in table or ("label" in table and table["label"].isna().all()) else set()
    for column in schema.columns:
        if set(column.names) <= set(table.columns):
            arrays[column.branch] = _branch(column, [table[name].to_numpy() for name in column.names])
            written |= set(column.names)
        elif column.required:
            raise RootError(
                f"{path} is not written: the table has no column {column.name!r}, which the schema requires"
            )
    cells = showers.images.reshape(len(showers), np.prod(showers.geometry.shape))
    arrays[schema.cells.branch] = _cells_to_file(cells, schema.cells.factor, cell_bits)
    for track in schema.tracks:
        if f"{track.name}_x" in written:
            height = np.full(len(table), schema.front_face_z * UNITS["cm"] / UNITS[track.unit], np.float32)
            missing = np.isnan(table[f"{track.name}_x"].to_numpy(dtype=float))
            arrays[track.z] = _vector(np.where(missing, np.nan, height))
    if set(KEY_BRANCHES) <= set(table.columns):
        arrays |= {branch: table[name].to_numpy(dtype=np.int64) for name, branch in KEY_BRANCHES.items()}
        written |= set(KEY_BRANCHES)
    if "weight" in table:  # without the factor of the dataset, which every reading of it applies
        own = table["weight"].to_numpy() / showers.metadata.get("weight", 1.0)
        arrays[WEIGHT_BRANCH] = own.astype(np.float32)
        written.add("weight")
    if left_out := [name for name in table.columns if name not in written]:
        log.warning("%s: the schema %r has no branch for %s; not written", path, schema.name, ", ".join(left_out))
    return arrays


def _cells_to_file(cells: npt.NDArray[np.float32], factor: float, bits: int | None) -> npt.NDArray[np.float32]:
    """Cells in the unit of the file, rounded to ``bits``, or else such that reading gives the same float32 again."""
    energies = (cells / factor).astype(np.float32)
    if bits is not None:
        shift = np.uint32(24 - bits)
        half = (np.uint32(1) << shift) >> np.uint32(1)
        rounded = ((energies.view(np.uint32) + half) >> shift << shift).view(np.float32)
        return np.where(np.isfinite(energies), rounded, energies)
    # Two roundings can miss by one unit in the last place; a neighbour then gives the value back, if any float32 does.
    for direction in (np.inf, -np.inf):
        missed = np.nonzero((energies * np.float64(factor)).astype(np.float32) != cells)
        neighbours = np.nextafter(energies[missed], np.float32(direction))
        found = (neighbours * np.float64(factor)).astype(np.float32) == cells[missed]
        energies[missed] = np.where(found, neighbours, energies[missed])
    return energies


def _branch(column: Column, values: list[npt.NDArray[Any]]) -> Any:
    if column.type == "bool" and values[0].dtype == bool:
        return values[0]
    if column.type == "int" and values[0].dtype.kind in "iu":
        numbers = values[0].astype(np.int32)  # Int_t, as AMS's own readers expect it
        if (lost := values[0][numbers != values[0]]).size:
            raise RootError(f"the column {column.name!r} holds {lost[0]}; expected integers of 32 bits")
        return numbers
    floats = [column.to_file(value).astype(np.float32) for value in values]
    if column.form == "array":
        return np.column_stack(floats)
    return _vector(floats[0]) if column.form == "vector" else floats[0]


def _vector(values: npt.NDArray[Any]) -> ak.Array:
    """One element an event, none where it is NaN."""
    there = ~np.isnan(values)
    return ak.unflatten(values[there].astype(np.float32), there.astype(np.int64))
