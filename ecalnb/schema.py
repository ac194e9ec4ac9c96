"""Schemas: which branch of a ROOT file holds which quantity, and in what unit. Written as TOML.

A schema says what is in a file; :mod:`ecalnb.ntuples` reads and writes by it. The packaged ones are in
``data/schemas``; the comments in ``ams.toml`` explain every key.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from ._toml import DATA, check_keys, packaged_or_path, read_toml

__all__ = ["UNITS", "Cells", "Column", "Schema", "TrackPosition", "load_schema"]

UNITS: dict[str, float] = {
    "eV": 1e-9, "keV": 1e-6, "MeV": 1e-3, "GeV": 1.0, "TeV": 1e3,
    "um": 1e-3, "mm": 1.0, "cm": 10.0, "m": 1e3,
    "rad": 1.0, "deg": np.pi / 180,
    "MV": 1e-3, "GV": 1.0, "TV": 1e3,
    "": 1.0,
}  # fmt: skip
"""Units that a schema may name, and what one of them is in the package's own (GeV, mm, rad, GV)."""

ColumnType = Literal["float", "int", "bool"]
Form = Literal["scalar", "vector", "array"]
Convert = Literal["none", "zenith", "opposite"]


FLOAT32_PI = 2e-7  # how far a rounded pi may be from pi, rad


def _one_of(value: str, allowed: object, what: str, where: str) -> None:
    if value not in (choices := allowed if isinstance(allowed, dict) else get_args(allowed)):
        raise ValueError(f"{where}: {what} {value!r} is not one of {', '.join(repr(choice) for choice in choices)}")


@dataclass(frozen=True)
class Column:
    """A column of the event table, and the branch that it comes from.

    Parameters
    ----------
    name, branch : str
        Name in the event table and in the file.
    unit : str
        Unit in the file, one of `UNITS`.
    description : str
        What it is, in a line.
    type : {"float", "int", "bool"}
        Type in the event table. Numbers of a branch with missing values are float.
    form : {"scalar", "vector", "array"}
        How it is written; when reading, every form is accepted, and of several elements the first counts.
    elements : int
        For an array: number of elements, which become the columns ``name_0``, ``name_1``, ...
    convert : {"none", "zenith", "opposite"}
        ``zenith``: the file holds pi minus the value; ``opposite``: it holds the azimuth of the opposite direction.
    required : bool
        Whether a file without it, or an event where it is not finite, is bad.
    """

    name: str
    branch: str
    unit: str = ""
    description: str = ""
    type: ColumnType = "float"
    form: Form = "scalar"
    elements: int = 1
    convert: Convert = "none"
    required: bool = False

    def __post_init__(self) -> None:
        where = f"column {self.name!r}"
        _one_of(self.unit, UNITS, "unit", where)
        _one_of(self.type, ColumnType, "type", where)
        _one_of(self.form, Form, "form", where)
        _one_of(self.convert, Convert, "convert", where)
        if self.elements < 1 or (self.elements > 1) != (self.form == "array"):
            raise ValueError(
                f"{where}: {self.elements} elements do not go with form {self.form!r}; an array has 2 or more"
            )

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the table columns: one, or one for each element of an array."""
        return (self.name,) if self.form != "array" else tuple(f"{self.name}_{i}" for i in range(self.elements))

    def from_file(self, values: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
        """Values in the package's units and conventions."""
        values = np.asarray(values, dtype=np.float64) * UNITS[self.unit]
        if self.convert == "zenith":
            inclination = np.pi - values
            # Pi as a float32, which files hold, is larger than pi: a vertical track is not an upgoing one.
            return np.where((inclination < 0) & (inclination > -FLOAT32_PI), 0.0, inclination)
        return values + np.pi if self.convert == "opposite" else values

    def to_file(self, values: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
        """Inverse of `from_file`."""
        values = np.asarray(values, dtype=np.float64)
        if self.convert == "zenith":
            values = np.pi - values
        elif self.convert == "opposite":
            values = values - np.pi
        return values / UNITS[self.unit]


@dataclass(frozen=True)
class Cells:
    """The branch of the cell energies.

    Parameters
    ----------
    branch : str
        Its name; it holds all cells of an event, layer by layer.
    unit : str
        Unit of energy in the file.
    scale : float
        Factor on top of the unit, for files whose calibration is to be changed.
    """

    branch: str
    unit: str = "GeV"
    scale: float = 1.0

    def __post_init__(self) -> None:
        _one_of(self.unit, UNITS, "unit", "[cells]")
        if not (np.isfinite(self.scale) and self.scale > 0):
            raise ValueError(f"[cells]: scale {self.scale!r} is not a positive number")

    @property
    def factor(self) -> float:
        """What the energies in the file are multiplied with to be GeV."""
        return UNITS[self.unit] * self.scale


@dataclass(frozen=True)
class TrackPosition:
    """The height at which a track's position is given in the file.

    Parameters
    ----------
    name : str
        Prefix of the columns ``_x``, ``_y``, ``_inclination``, ``_azimuth`` that the height belongs to.
    z, unit : str
        Branch of the height and its unit. Without the branch the position is taken to be at the front face.
    """

    name: str
    z: str
    unit: str = "cm"

    def __post_init__(self) -> None:
        _one_of(self.unit, UNITS, "unit", f"[tracks.{self.name}]")


@dataclass(frozen=True)
class Schema:
    """Layout of a ROOT file of calorimeter events. Load one with `load_schema` or ``Schema.load``.

    Parameters
    ----------
    name, tree : str
        Name of the schema, and of the TTree or RNTuple (with its directory, if it is in one).
    front_face_z : float
        z of the front face of the calorimeter in the files' coordinates, cm.
    cells : Cells
        The cell energies.
    columns : tuple of Column
        Everything else that has one value (or a few) an event.
    tracks : tuple of TrackPosition
        Heights at which track positions are given.
    particles : dict
        Label of each particle, by its PDG code.
    """

    name: str
    tree: str
    front_face_z: float
    cells: Cells
    columns: tuple[Column, ...]
    tracks: tuple[TrackPosition, ...]
    particles: dict[int, str]

    @staticmethod
    def load(name: str | Path | Schema = "ams") -> Schema:
        """Load a schema; see `load_schema`."""
        return load_schema(name)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of all table columns that the schema knows."""
        return tuple(name for column in self.columns for name in column.names)


def load_schema(name: str | Path | Schema = "ams") -> Schema:
    """Read a schema.

    Parameters
    ----------
    name : str, Path or Schema
        Name of a packaged schema, or a path to a ``.toml`` file. A schema is passed through.

    Raises
    ------
    FileNotFoundError, ValueError
        If there is no such schema, or it has an unknown key or value; the message names file, key and value.
    """
    if isinstance(name, Schema):
        return name
    path = packaged_or_path(name, DATA / "schemas", "schema")
    content = _with_base(path)
    keys = ("name", "tree", "front_face_z", "cells", "columns", "tracks", "particles")
    check_keys(content, keys, str(path), required=("tree", "cells", "columns"))
    try:
        return Schema(
            name=str(content.get("name", path.stem)),
            tree=str(content["tree"]),
            front_face_z=float(content.get("front_face_z", 0.0)),
            cells=_make(Cells, content["cells"], "[cells]"),
            columns=tuple(_make(Column, entry, f"[columns.{key}]", key) for key, entry in content["columns"].items()),
            tracks=tuple(
                _make(TrackPosition, entry, f"[tracks.{key}]", key) for key, entry in content.get("tracks", {}).items()
            ),
            particles={int(code): str(label) for code, label in content.get("particles", {}).items()},
        )
    except (ValueError, TypeError, AttributeError, OverflowError) as error:
        raise ValueError(f"{path}: {error}") from None


def _check_type(value: Any, kind: str, what: str) -> None:
    """Refuse a value of another type than a field has; literals are texts."""
    types = {"int": (int, "an integer"), "float": ((int, float), "a number"), "bool": (bool, "true or false")}
    allowed, expected = types.get(kind, (str, "text"))
    if not isinstance(value, allowed) or (isinstance(value, bool) and kind != "bool"):  # type: ignore[arg-type]
        raise ValueError(f"{what} is {value!r}; expected {expected}")


def _with_base(path: Path) -> dict[str, Any]:
    """Content of a schema file on top of that of the schema it names as ``base``."""
    content = read_toml(path)
    base = content.pop("base", None)
    if base is None:
        return content
    below = packaged_or_path(base, DATA / "schemas", "schema")
    below = below if below.is_absolute() else path.parent / below
    if below.resolve() == path.resolve():
        raise ValueError(f"{path}: the base is the schema itself")
    merged = _with_base(below)
    merged.pop("name", None)
    return _merge(merged, content)


def _merge(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    both = dict(below)
    for key, value in above.items():
        deeper = isinstance(value, dict) and isinstance(below.get(key), dict)
        both[key] = _merge(below[key], value) if deeper else value
    return both


def _make(kind: type, entry: dict[str, Any], where: str, name: str | None = None) -> Any:
    known = [field.name for field in fields(kind) if name is None or field.name != "name"]
    needed = {"Column": ("branch",), "Cells": ("branch",), "TrackPosition": ("z",)}[kind.__name__]
    check_keys(entry, known, where, required=needed)
    for field in fields(kind):
        if field.name in entry:
            _check_type(entry[field.name], str(field.type), f"{where}: {field.name}")
    return kind(**entry) if name is None else kind(name=name, **entry)
