"""Scales on which a model sees energies: those of the cells, and those of single numbers of an event."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch

__all__ = ["NORMALISATIONS", "SCALARS", "Batch", "Scalar"]

Batch = dict[str, torch.Tensor]
"""A batch of events: ``cells`` (n, layers, cells) in GeV, ``target`` (n,) 1 for signal and 0 for background, and one
(n,) entry for each column that the inputs ask for."""

_UNIT = 1e-3  # GeV: the logarithm is linear below 1 MeV, where the cells are haze and numerical dust down to 1e-13 GeV
_FULL_SCALE = math.log1p(1 / _UNIT)  # 1 GeV in a cell
_FULL_SCALE_TOTAL = math.log1p(1e3)  # 1 TeV in the calorimeter


def _raw(cells: torch.Tensor) -> torch.Tensor:
    return cells


def _log(cells: torch.Tensor) -> torch.Tensor:
    # Odd in the energy, so that a negative cell of pedestal-subtracted data is as good a number as any.
    return cells.sign() * torch.log1p(cells.abs() / _UNIT) / _FULL_SCALE  # (ONNX has no copysign)


def _fraction(cells: torch.Tensor) -> torch.Tensor:
    total = cells.sum(dim=(-2, -1), keepdim=True)
    # Without deposited energy there is no share: all cells stay 0. The factor keeps a typical hit cell near 1.
    return torch.where(total > 0, cells / torch.where(total > 0, total, 1), 0.0) * 100


NORMALISATIONS: Mapping[str, Callable[[torch.Tensor], torch.Tensor]] = {"raw": _raw, "log": _log, "fraction": _fraction}
"""Scales of the cells: ``raw`` energies in GeV; ``log``, ln(1 + E / MeV) over its value at 1 GeV, so that haze, MIPs
and shower cores are all seen (0 to about 1.4); ``fraction``, percent of the energy in all cells, so that only the shape
counts."""


@dataclass(frozen=True)
class Scalar:
    """A number of an event that fills a channel of its own.

    Parameters
    ----------
    columns : tuple of str
        Columns of the event table that it needs beside the cells.
    of : callable
        From a batch to (n,) numbers of order 1.
    """

    columns: tuple[str, ...]
    of: Callable[[Batch], torch.Tensor]


def _log_total(energy: torch.Tensor) -> torch.Tensor:
    return energy.sign() * torch.log1p(energy.abs()) / _FULL_SCALE_TOTAL


SCALARS: Mapping[str, Scalar] = {
    "total_energy": Scalar((), lambda batch: _log_total(batch["cells"].sum(dim=(-2, -1)))),
    "en3d": Scalar(("en3d",), lambda batch: _log_total(batch["en3d"])),
}
"""Numbers that inputs can have as further channels: ``total_energy``, the sum of all cells, and ``en3d``, the energy
under the electron hypothesis; both as ln(1 + E / GeV) over its value at 1 TeV (0.35 at 10 GeV, 1.1 at 2 TeV)."""
