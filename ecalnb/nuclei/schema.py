"""Layout of the ntuples of nuclei: their variables, and the branches that hold them.

A schema is a TOML file; the packaged ``data/schemas/nuclei/default.toml`` explains every key.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from .._toml import DATA, check_keys, packaged_or_path, read_toml

__all__ = ["NucleiSchema", "Variable", "load_nuclei_schema"]

_FOLDER = DATA / "schemas" / "nuclei"
_TRUTH = ("charge", "place", "rigidity")


@dataclass(frozen=True)
class Variable:
    """A variable, or several of the same kind.

    Parameters
    ----------
    name : str
        Its name in this package.
    subdetector : str
        Where it is measured.
    branch : str
        Branch of the file; of the same name unless told.
    elements : int
        Numbers an event.
    missing : float or None
        What the file holds where nothing was measured, beside NaN.
    description : str
        One line.
    """

    name: str
    subdetector: str
    branch: str = ""
    elements: int = 1
    missing: float | None = None
    description: str = ""

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of its columns: that of the variable, or numbered from 1."""
        return (self.name,) if self.elements == 1 else tuple(f"{self.name}_{k + 1}" for k in range(self.elements))


@dataclass(frozen=True)
class NucleiSchema:
    """Layout of a file.

    Parameters
    ----------
    tree : str
        Name of its tree.
    variables : tuple of Variable
        In the order of the columns.
    truth : dict of str
        Branches of what a simulation knows: ``charge``, ``place`` and ``rigidity``.
    """

    tree: str
    variables: tuple[Variable, ...]
    truth: dict[str, str]

    @cached_property
    def columns(self) -> tuple[str, ...]:
        """Names of all columns."""
        return tuple(column for variable in self.variables for column in variable.columns)

    @cached_property
    def offsets(self) -> dict[str, int]:
        """Number of the first column of each variable."""
        ends = np.cumsum([variable.elements for variable in self.variables])
        return {each.name: int(end) - each.elements for each, end in zip(self.variables, ends, strict=True)}

    @cached_property
    def subdetectors(self) -> npt.NDArray[np.str_]:
        """Subdetector of each column."""
        return np.repeat([each.subdetector for each in self.variables], [each.elements for each in self.variables])


@cache
def load_nuclei_schema(name: str | Path = "default") -> NucleiSchema:
    """Read a schema.

    Parameters
    ----------
    name : str or Path
        Name of a packaged schema, or a path to a ``.toml`` file. One with ``base`` changes what differs from another.

    Raises
    ------
    FileNotFoundError, ValueError
        If there is no such schema, or it has an unknown key, a variable that this package does not know, or another
        number of elements; the message names file and key.
    """
    path = packaged_or_path(name, _FOLDER, "schema of nuclei")
    content = read_toml(path)
    check_keys(content, ("base", "tree", "variables", "truth"), str(path))
    entries: dict[str, Any] = content.get("variables", {})
    keys = ("branch", "elements", "subdetector", "missing", "description")
    for key, entry in entries.items():
        check_keys(entry, keys, f"{path}, [variables.{key}]")
    truth = content.get("truth", {})
    check_keys(truth, _TRUTH, f"{path}, [truth]")
    if "base" not in content:
        check_keys(content, content, str(path), required=("tree", "variables"))
        for key, entry in entries.items():
            check_keys(entry, keys, f"{path}, [variables.{key}]", required=("subdetector",))
        return NucleiSchema(content["tree"], tuple(Variable(key, **entry) for key, entry in entries.items()), truth)
    base = load_nuclei_schema(content["base"])
    known = {each.name: each for each in base.variables}
    check_keys(entries, known, f"{path}, [variables]")
    for key, entry in entries.items():
        if (elements := entry.get("elements", known[key].elements)) != known[key].elements:
            raise ValueError(f"{path}, [variables.{key}]: elements is {elements}; expected {known[key].elements}")
    variables = tuple(Variable(**{**vars(each), **entries.get(each.name, {})}) for each in base.variables)
    return NucleiSchema(content.get("tree", base.tree), variables, {**base.truth, **truth})
