"""Cell energies of one open tree as images, and what is done with bad ones."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal

import awkward as ak
import numpy as np
import numpy.typing as npt
import pandas as pd

from ..geometry import Calorimeter
from ..rootio import RootError, Tree
from ..schema import Cells

__all__ = ["BadCells", "BadCellsPolicy", "CellReader"]

BadCellsPolicy = Literal["reject", "zero", "error"]


@dataclass
class BadCells:
    """Count of bad events, and what was done with them.

    An event is bad if a cell is NaN, infinite or negative, or if a required quantity such as ``en3d`` is not finite.

    Parameters
    ----------
    policy : {"reject", "zero", "error"}
        What is done with a bad event.
    events : int
        Events read.
    nan, infinite, negative : int
        Events with such a cell; an event may count in several.
    not_finite : int
        Events in which a required quantity is not finite. They are rejected by the policy ``zero`` too.
    rejected : int
        Events left out.
    zeroed : int
        Cells set to zero.
    """

    policy: BadCellsPolicy = "reject"
    events: int = 0
    nan: int = 0
    infinite: int = 0
    negative: int = 0
    not_finite: int = 0
    rejected: int = 0
    zeroed: int = 0

    def __add__(self, other: BadCells) -> BadCells:
        counts = {field.name: getattr(self, field.name) + getattr(other, field.name) for field in fields(self)[1:]}
        return BadCells(self.policy, **counts)

    def __bool__(self) -> bool:
        return bool(self.nan or self.infinite or self.negative or self.not_finite)

    def __str__(self) -> str:
        return (
            f"{self.nan} events with NaN, {self.infinite} with infinite and {self.negative} with negative cells, "
            f"{self.not_finite} without a finite required value, among {self.events}; "
            f"{self.rejected} events rejected, {self.zeroed} cells set to zero (policy {self.policy!r})"
        )

    def to_dict(self) -> dict[str, str | int]:
        """Policy and counts, for metadata."""
        return asdict(self)


class CellReader:
    """Reader of the cell energies of a tree.

    Parameters
    ----------
    tree : Tree
        The tree.
    cells : Cells
        Their branch and unit.
    geometry : Calorimeter
        The calorimeter that they are of.

    Raises
    ------
    RootError
        If there is no such branch, or it does not hold numbers, as many as the calorimeter has cells.
    """

    def __init__(self, tree: Tree, cells: Cells, geometry: Calorimeter) -> None:
        self.tree, self.cells, self.geometry = tree, cells, geometry
        self.n_cells = geometry.n_layers * geometry.n_cells
        tree.require(cells.branch)
        self.type = tree.element_type(cells.branch)  # None if their number varies
        if self.type is not None:
            dtype, shape = self.type
            if (n := int(np.prod(shape))) != self.n_cells:
                raise RootError(f"{tree.path}: {cells.branch!r} has {n} cells an event; expected {self._expected}")
            if dtype.kind != "f":
                raise RootError(f"{tree.path}: {cells.branch!r} is of type {dtype}; expected float or double")

    @property
    def _expected(self) -> str:
        layers, cells = self.geometry.shape
        return f"{layers} x {cells} = {self.n_cells} ({self.geometry.name})"

    def images(
        self, step: int, start: int, stop: int
    ) -> Iterator[tuple[npt.NDArray[np.float32], npt.NDArray[np.bool_]]]:
        """Cells (n, n_cells) in GeV of ``step`` entries at a time, and which events have a bad one."""
        from .unpack import fill  # numba takes a while to import

        blocks = self._blocks(step, start, stop)
        block: npt.NDArray[Any] = np.empty((0, self.n_cells))
        for first in range(start, stop, step):
            n = min(step, stop - first)
            out, suspect = np.empty((n, self.n_cells), np.float32), np.empty(n, np.bool_)
            filled = 0
            while filled < n:
                if not len(block):
                    block = self._next(blocks, first + filled)
                part, block = block[: n - filled], block[n - filled :]
                rows = slice(filled, filled + len(part))
                fill(part, self.cells.factor, out[rows], suspect[rows])
                filled += len(part)
            yield out, suspect

    def _next(self, blocks: Iterator[npt.NDArray[Any]], entry: int) -> npt.NDArray[Any]:
        block = next(blocks, None)
        if block is None:
            raise RootError(f"{self.tree.path}: {self.cells.branch!r} ends before entry {entry}; the file is damaged")
        return block.reshape(-1, self.n_cells)

    def _blocks(self, step: int, start: int, stop: int) -> Iterator[npt.NDArray[Any]]:
        """Cells in pieces of whatever length."""
        branch = self.cells.branch
        if self.type is not None and not self.tree.is_rntuple:
            yield from self.tree.blocks(branch, start, stop)
            return
        first = start
        for arrays in self.tree.iterate([branch], step, start, stop):
            cells = arrays[branch]
            if self.type is None:
                self._check_counts(cells, first)
            yield np.asarray(ak.flatten(cells, axis=None))
            first += len(cells)

    def _check_counts(self, cells: ak.Array, first: int) -> None:
        branch = self.cells.branch
        kind = str(ak.type(cells).content)
        if not re.fullmatch(r"(var|\d+) \* float(32|64)", kind):
            raise RootError(
                f"{self.tree.path}: {branch!r} is of type {kind}; expected {self._expected} float or double"
            )
        counts = np.asarray(ak.num(cells))
        if (wrong := np.flatnonzero(counts != self.n_cells)).size:
            entry, n = first + wrong[0], counts[wrong[0]]
            raise RootError(f"{self.tree.path}: entry {entry} has {n} cells in {branch!r}; expected {self._expected}")

    def treat_bad(
        self,
        images: npt.NDArray[np.float32],
        suspect: npt.NDArray[np.bool_],
        required: pd.DataFrame,
        first: int,
        policy: BadCellsPolicy,
    ) -> tuple[npt.NDArray[np.bool_] | None, BadCells]:
        """Count bad events and treat them, in place.

        Parameters
        ----------
        images, suspect : arrays
            As `images` gives them.
        required : DataFrame
            Quantities of these events that have to be finite.
        first : int
            Entry of the first event.
        policy : {"reject", "zero", "error"}
            What is done.

        Returns
        -------
        keep : array of bool or None
            Which events stay; None for all.
        report : BadCells
            Counts.

        Raises
        ------
        RootError
            For the first bad event, if that is the policy.
        """
        report = BadCells(policy, events=len(images))
        lacking = ~np.isfinite(required.to_numpy(dtype=float)).all(axis=1)
        events = np.flatnonzero(suspect)
        if not (events.size or lacking.any()):
            return None, report
        cells = images[events]
        nan, infinite, negative = np.isnan(cells), np.isinf(cells), cells < 0
        bad = nan | infinite | negative
        if policy == "error":
            self._stop(int(min([*events[:1], *np.flatnonzero(lacking)[:1]])), images, required, first)
        report.nan, report.infinite = int(nan.any(axis=1).sum()), int(infinite.any(axis=1).sum())
        report.negative, report.not_finite = int(negative.any(axis=1).sum()), int(lacking.sum())
        keep = ~lacking
        if policy == "zero":
            images[events] = np.where(bad, 0, cells)
            report.zeroed = int(bad[keep[events]].sum())
        else:
            keep[events] = False
        report.rejected = int((~keep).sum())
        return keep, report

    def _stop(self, event: int, images: npt.NDArray[np.float32], required: pd.DataFrame, first: int) -> None:
        where = f"{self.tree.path}: entry {first + event}"
        bad = np.flatnonzero(~np.isfinite(images[event]) | (images[event] < 0))
        if not bad.size:
            lacking = [str(name) for name in required if not np.isfinite(required[name].iloc[event])]
            value = required[lacking[0]].iloc[event]
            raise RootError(f"{where}: the column {lacking[0]!r} is {value}; expected a finite number")
        layer, cell = divmod(int(bad[0]), self.geometry.n_cells)
        raise RootError(
            f"{where}: layer {layer}, cell {cell} of {self.cells.branch!r} is {images[event, bad[0]]} GeV; "
            "expected a finite energy of 0 or more"
        )
