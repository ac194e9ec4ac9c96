"""What a model sees of an event: the inputs, recorded with the weights.

Inputs are made from a batch of raw cell energies on the device of the model, so that a model in use needs nothing but
the cells in GeV. A new input is a class with the members of :class:`Inputs`, added to ``_INPUTS``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Protocol

import torch

from .._toml import near
from ..geometry import Calorimeter
from .errors import TrainingError

__all__ = ["NORMALISATIONS", "Batch", "ImageInputs", "Inputs", "inputs_from", "list_inputs"]

Batch = dict[str, torch.Tensor]
"""A batch of events: ``cells`` (n, layers, cells) in GeV, ``target`` (n,) 1 for signal and 0 for background, and one
(n,) entry for each column that the inputs ask for."""

_UNIT = 1e-3  # GeV: the logarithm is linear below 1 MeV, where the cells are haze and numerical dust down to 1e-13 GeV
_FULL_SCALE = math.log1p(1 / _UNIT)  # 1 GeV in a cell


def _raw(cells: torch.Tensor) -> torch.Tensor:
    return cells


def _log(cells: torch.Tensor) -> torch.Tensor:
    # Odd in the energy, so that a negative cell of pedestal-subtracted data is as good a number as any.
    return torch.copysign(torch.log1p(cells.abs() / _UNIT), cells) / _FULL_SCALE


def _fraction(cells: torch.Tensor) -> torch.Tensor:
    total = cells.sum(dim=(-2, -1), keepdim=True)
    # Without deposited energy there is no share: all cells stay 0. The factor keeps a typical hit cell near 1.
    return torch.where(total > 0, cells / torch.where(total > 0, total, 1), 0.0) * 100


NORMALISATIONS: Mapping[str, Callable[[torch.Tensor], torch.Tensor]] = {"raw": _raw, "log": _log, "fraction": _fraction}
"""Scales of the cells: ``raw`` energies in GeV; ``log``, ln(1 + E / MeV) over its value at 1 GeV, so that haze, MIPs
and shower cores are all seen (0 to about 1.4); ``fraction``, percent of the energy in all cells, so that only the shape
counts."""


class Inputs(Protocol):
    """What an input has to have."""

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns of the event table that it needs beside the cells."""

    def shape(self, geometry: Calorimeter) -> tuple[int, int, int]:
        """Channels, layers and cells of what the model gets."""

    def to_dict(self) -> dict[str, Any]:
        """Name and settings, from which `inputs_from` makes it again."""

    def __call__(self, batch: Batch) -> torch.Tensor:
        """Make what the model gets, (n, channels, layers, cells)."""


@dataclass(frozen=True)
class ImageInputs:
    """All layers in one image of one channel.

    Parameters
    ----------
    normalisation : str
        One of :data:`NORMALISATIONS`.

    Raises
    ------
    TrainingError
        If there is no such normalisation.
    """

    normalisation: str = "log"
    columns: ClassVar[tuple[str, ...]] = ()

    def __post_init__(self) -> None:
        if self.normalisation not in NORMALISATIONS:
            raise TrainingError(f"normalisation is {self.normalisation!r}; expected one of {', '.join(NORMALISATIONS)}")

    def shape(self, geometry: Calorimeter) -> tuple[int, int, int]:
        """One channel of (layers, cells)."""
        return (1, *geometry.shape)

    def to_dict(self) -> dict[str, Any]:
        """Name and settings."""
        return {"name": "image", **asdict(self)}

    def __call__(self, batch: Batch) -> torch.Tensor:
        """Normalised cells, (n, 1, layers, cells)."""
        return NORMALISATIONS[self.normalisation](batch["cells"]).unsqueeze(1)


_INPUTS: dict[str, Callable[..., Inputs]] = {"image": ImageInputs}


def list_inputs() -> list[str]:
    """Names of the inputs."""
    return list(_INPUTS)


def inputs_from(description: Mapping[str, Any]) -> Inputs:
    """Make inputs from their name and settings, as a recipe or the file beside the weights gives them.

    Raises
    ------
    TrainingError
        If there is no such input, or it has no such setting.
    """
    settings = dict(description)
    name = settings.pop("name", None)
    if name not in _INPUTS:
        raise TrainingError(f"inputs are {name!r}; expected one of {', '.join(_INPUTS)}{near(str(name), _INPUTS)}")
    try:
        return _INPUTS[name](**settings)
    except TypeError as error:
        raise TrainingError(f"inputs {name!r} cannot have the settings {settings}: {error}") from None
