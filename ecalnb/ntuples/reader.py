"""From the branches of one open tree to `Showers`, chunk by chunk: what :mod:`ecalnb.ntuples` is made of."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
import numpy.typing as npt
import pandas as pd

from .._toml import near
from ..geometry import Calorimeter
from ..rootio import RootError, Tree, file_id
from ..schema import UNITS, Column, Schema, TrackPosition
from ..showers import Showers
from .cells import BadCells, BadCellsPolicy, CellReader

__all__ = ["KEY_BRANCHES", "NOTE", "PROVENANCE", "WEIGHT_BRANCH", "Source", "TreeReader"]

log = logging.getLogger(__name__)

PROVENANCE, NOTE = "provenance", "ecalnb_provenance"
"""Where simulated events come from: the key in ``Showers.metadata``, and the text in the file, which is JSON."""

WEIGHT_BRANCH = "ecalnb_weight"
"""Weight that each event of a file has of itself, as importance sampling gives it."""

KEY_BRANCHES = {"file_id": "ecalnb_file_id", "entry": "ecalnb_entry"}
TABLE_CHUNKS = 8  # chunks whose table is made at a time: it is small beside the images, and each making costs some ms
FARTHEST = 1000.0  # mm; a position farther from the front face means that schema and file have different origins


@dataclass(frozen=True)
class Source:
    """A file, and how to read it."""

    path: Path
    schema: Schema
    label: str | None = None
    metadata: dict[str, Any] = field(default_factory=dict)


class TreeReader:
    """Reader of one open tree.

    Parameters
    ----------
    tree : Tree
        The tree.
    source : Source
        Its file and schema.
    geometry : Calorimeter
        The calorimeter whose cells it holds.
    columns : list of str or None
        Table columns to read besides the event key, ``label`` and required ones; all unless told.

    Raises
    ------
    RootError
        If a required branch or a wanted column is not there, or the cells are not those of the calorimeter.
    """

    def __init__(self, tree: Tree, source: Source, geometry: Calorimeter, columns: Sequence[str] | None) -> None:
        self.tree, self.source, self.schema, self.geometry = tree, source, source.schema, geometry
        self.cells = CellReader(tree, self.schema.cells, geometry)
        there = set(tree.branches())
        self.columns = self._choose(columns, there)
        self.wanted = None if columns is None else set(columns)
        self.tracks = [track for track in self.schema.tracks if self._has(f"{track.name}_x", f"{track.name}_y")]
        self.file_id = file_id(source.path)
        self.provenance = {PROVENANCE: json.loads(tree.notes[NOTE])} if NOTE in tree.notes else {}
        branches = [column.branch for column in self.columns] + [track.z for track in self.tracks if track.z in there]
        self.pdg_branch = next((c.branch for c in self.schema.columns if c.name == "pdg" and c.branch in there), None)
        branches += [self.pdg_branch] if self.pdg_branch else []
        branches += KEY_BRANCHES.values() if there >= set(KEY_BRANCHES.values()) else []
        branches += [WEIGHT_BRANCH] if WEIGHT_BRANCH in there else []
        self.types = {branch: tree.element_type(branch) for branch in branches}
        self._told: set[str] = set()

    def chunks(self, step: int, start: int, stop: int, policy: BadCellsPolicy) -> Iterator[tuple[Showers, BadCells]]:
        """Events of the entries from ``start`` to before ``stop``, ``step`` entries at a time."""
        images = self.cells.images(step, start, stop)
        tables = self._tables(step, start, stop)
        required = [name for column in self.columns if column.required for name in column.names]
        for first, (cells, suspect), table in zip(range(start, stop, step), images, tables, strict=True):
            keep, report = self.cells.treat_bad(cells, suspect, table[required], first, policy)
            metadata = {
                "file": str(self.source.path),
                "entries": [first, first + len(cells)],
                "schema": self.schema.name,
                **self.source.metadata,
                **self.provenance,
                "bad_cells": report.to_dict(),
                "left_out": [] if keep is None else (first + np.flatnonzero(~keep)).tolist(),
            }
            showers = Showers(cells.reshape(-1, *self.geometry.shape), table, self.geometry, metadata)
            yield (showers if keep is None else showers[keep]), report

    # ------------------------------------------------------------------------------------------------ what is there

    def _choose(self, names: Sequence[str] | None, there: set[str]) -> list[Column]:
        """Columns to read: those wanted and required, and those that a wanted track position is moved by."""
        for column in self.schema.columns:
            if column.required:
                self.tree.require(column.branch)
        present = [column for column in self.schema.columns if column.branch in there]
        if names is None:
            return present
        known = {name: column for column in self.schema.columns for name in column.names}
        chosen = [column for column in present if column.required]
        for name in names:
            if name in ("file_id", "entry", "label", "weight"):
                continue
            if name not in known:
                raise RootError(f"the schema {self.schema.name!r} has no column {name!r}{near(name, known)}")
            if known[name] not in present:
                raise RootError(
                    f"{self.tree.path}: the column {name!r} is asked for, but there is no branch {known[name].branch!r}"
                )
            chosen.append(known[name])
            for track in self.schema.tracks:
                if name in (f"{track.name}_x", f"{track.name}_y"):
                    needed = {f"{track.name}_{part}" for part in ("x", "y", "inclination", "azimuth")}
                    chosen += [column for column in present if column.name in needed]
        return [column for column in present if column in chosen]

    def _has(self, *names: str) -> bool:
        return set(names) <= {column.name for column in self.columns}

    # ------------------------------------------------------------------------------------------------ the table

    def _tables(self, step: int, start: int, stop: int) -> Iterator[pd.DataFrame]:
        """Tables of ``step`` entries at a time."""
        many = step * TABLE_CHUNKS
        for first, values in zip(
            range(start, stop, many), self.tree.iterate(self.types, many, start, stop), strict=True
        ):
            table = self._table(values, first, min(first + many, stop))
            for row in range(0, len(table), step):
                yield table.iloc[row : row + step]

    def _table(self, values: dict[str, ak.Array], first: int, last: int) -> pd.DataFrame:
        n = last - first
        data: dict[str, Any] = {"file_id": np.full(n, self.file_id), "entry": np.arange(first, last)}
        for name, branch in KEY_BRANCHES.items():
            if branch in values:
                data[name] = np.asarray(values[branch]).astype(np.int64)
        data["label"] = self._labels(values, n)
        if WEIGHT_BRANCH in values or "weight" in self.source.metadata:
            weight = self._elements(WEIGHT_BRANCH, values[WEIGHT_BRANCH], 1)[:, 0] if WEIGHT_BRANCH in values else 1.0
            data["weight"] = np.full(n, weight * self.source.metadata.get("weight", 1.0), dtype=np.float32)
        for column in self.columns:
            data |= dict(zip(column.names, self._column(column, values[column.branch]), strict=True))
        for track in self.tracks:
            self._move_to_front_face(track, data, values)
        if self.wanted is not None:
            always = {"file_id", "entry", "label", *(name for c in self.columns if c.required for name in c.names)}
            data = {name: value for name, value in data.items() if name in always | self.wanted}
        return pd.DataFrame(data)

    def _column(self, column: Column, values: ak.Array) -> list[npt.NDArray[Any]]:
        kind = self.types[column.branch]
        if kind is not None and kind[1] == () and column.elements == 1:
            if column.type == "bool":
                return [np.asarray(values).astype(bool)]
            if column.type == "int" and kind[0].kind in "iub":
                return [np.asarray(values).astype(np.int64)]
        elements = self._elements(column.branch, values, column.elements)
        return [column.from_file(element).astype(np.float32) for element in elements.T]

    def _elements(self, branch: str, values: ak.Array, n: int) -> npt.NDArray[np.float64]:
        """First ``n`` elements of each entry, NaN where there are fewer, shape (entries, n)."""
        if not _is_number(values) or values.ndim > 2:
            raise RootError(f"{self.tree.path}: {branch!r} is of type {ak.type(values).content}; expected numbers")
        if values.ndim == 1:
            first = np.asarray(values, dtype=np.float64)
            return np.column_stack([first, *np.full((n - 1, len(first)), np.nan)])
        counts, flat = np.asarray(ak.num(values)), np.asarray(ak.flatten(values), dtype=np.float64)
        start = np.cumsum(counts) - counts
        elements = np.full((len(values), n), np.nan)
        for i in range(n):
            there = counts > i
            elements[there, i] = flat[start[there] + i]
        return elements

    def _labels(self, values: dict[str, ak.Array], n: int) -> pd.Series:
        """Label of each event, as text or missing."""
        particles = self.schema.particles
        codes = (
            self._elements(self.pdg_branch, values[self.pdg_branch], 1)[:, 0] if self.pdg_branch else np.full(n, np.nan)
        )
        known, which = np.unique(codes, return_inverse=True)
        names = [None if np.isnan(code) else particles.get(int(code)) for code in known]
        if self.source.label is not None:
            others = sorted({name for name in names if name is not None} - {self.source.label})
            if others:
                self._tell(f"the label {self.source.label!r} is given to events that are {', '.join(others)} by 'pdg'")
            return pd.Series([self.source.label] * n, dtype=object)
        if unknown := [
            int(code) for code, name in zip(known, names, strict=True) if name is None and not np.isnan(code)
        ]:
            self._tell(
                f"particles {unknown} have no label in the schema {self.schema.name!r}; it is missing in these events"
            )
        return pd.Series(np.array([*names, None], dtype=object)[which], dtype=object)

    def _move_to_front_face(self, track: TrackPosition, data: dict[str, Any], values: dict[str, ak.Array]) -> None:
        """Move positions along their direction from the height where the file has them to depth 0."""
        if track.z not in values:
            return
        z = self._elements(track.z, values[track.z], 1)[:, 0] * UNITS[track.unit]
        depth = self.schema.front_face_z * UNITS["cm"] - z
        if (abs(depth) > FARTHEST).any():
            far = z[abs(depth) > FARTHEST][0] / UNITS["cm"]
            raise RootError(
                f"{self.tree.path}: {track.z!r} is {far:.6g} cm, but the front face of the schema {self.schema.name!r} "
                f"is at {self.schema.front_face_z:.6g} cm; expected less than {FARTHEST / 10:.0f} cm between them: use "
                "the schema 'ams_detector', or set front_face_z in one of your own"
            )
        x, y, inclination, azimuth = (f"{track.name}_{part}" for part in ("x", "y", "inclination", "azimuth"))
        moved = depth != 0  # also where z is NaN
        if not moved.any():
            return
        if inclination not in data or azimuth not in data:
            self._tell(
                f"{x} and {y} are not at the front face, and cannot be moved there without {inclination} and {azimuth}"
            )
            data[x][moved] = data[y][moved] = np.nan
            return
        slope = np.tan(data[inclination][moved].astype(np.float64))
        angle = data[azimuth][moved].astype(np.float64)
        data[x][moved] -= (depth[moved] * slope * np.cos(angle)).astype(np.float32)
        data[y][moved] -= (depth[moved] * slope * np.sin(angle)).astype(np.float32)

    def _tell(self, message: str) -> None:
        """Warn once a file."""
        if message not in self._told:
            self._told.add(message)
            log.warning("%s: %s", self.tree.path, message)


def _is_number(values: ak.Array) -> bool:
    content = ak.type(values).content
    while isinstance(content, (ak.types.ListType, ak.types.RegularType)):
        if content.parameters:  # text
            return False
        content = content.content
    return isinstance(content, ak.types.NumpyType)
