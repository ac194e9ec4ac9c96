"""What all effects have in common: a name, parameters with units and ranges, and a function on images."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from ...geometry import Calorimeter, Tracks

__all__ = ["PMT_CELLS", "Circumstances", "Effect", "FloatArray", "channels_of_pmts", "parameter", "pmt_shape"]

FloatArray = npt.NDArray[np.float64]

PMT_CELLS = 2
"""A photomultiplier reads this many layers by as many cells: 2 x 2 anodes (Adloff et al., NIM A 714 (2013) 147)."""


@dataclass(frozen=True)
class Circumstances:
    """What an effect may depend on, besides the energies.

    Parameters
    ----------
    geometry : Calorimeter
        The calorimeter.
    constants : numpy.random.Generator
        For what is the same in all events of a detector, such as gains: always in the same state.
    generator : numpy.random.Generator
        For what differs from event to event. So that an event does not depend on those after it, an effect draws from
        it once, event by event, or from generators that it spawns.
    tracks : Tracks, optional
        Where the particles really went.
    measured : Tracks, optional
        Where they were measured to go, for corrections.
    """

    geometry: Calorimeter
    constants: np.random.Generator
    generator: np.random.Generator
    tracks: Tracks | None = None
    measured: Tracks | None = None


def parameter(low: float, high: float, unit: str = "", default: float | None = None) -> Any:
    """Field of an effect: a number within limits, with its unit; without a default it has to be given."""
    limits = {"low": low, "high": high, "unit": unit}
    return field(metadata=limits) if default is None else field(default=default, metadata=limits)


@dataclass(frozen=True)
class Effect(ABC):
    """An effect of a detector. Its parameters are its fields.

    Raises
    ------
    ValueError
        If a parameter is no number or out of its range.
    """

    name: ClassVar[str]

    def __post_init__(self) -> None:
        for known in fields(self):
            if "low" not in known.metadata:
                continue
            value, low, high = getattr(self, known.name), known.metadata["low"], known.metadata["high"]
            number = isinstance(value, (int, float)) and not isinstance(value, bool)
            if not (number and low <= value <= high):
                unit = f" {known.metadata['unit']}" if known.metadata["unit"] else ""
                raise ValueError(f"{known.name} of {self.name} is {value!r}; expected {low:g} to {high:g}{unit}")

    @abstractmethod
    def __call__(self, energies: FloatArray, circumstances: Circumstances) -> FloatArray:
        """Energies after the effect, GeV, shape (n, n_layers, n_cells); the given ones may be changed in place."""

    def parameters(self) -> dict[str, Any]:
        """Parameters by name."""
        return {known.name: getattr(self, known.name) for known in fields(self)}


def channels_of_pmts(values: npt.NDArray[Any], geometry: Calorimeter) -> npt.NDArray[Any]:
    """Value of each cell's photomultiplier, shape (n_layers, n_cells), from ``values`` by photomultiplier."""
    layers, cells = geometry.shape
    return np.repeat(np.repeat(values, PMT_CELLS, axis=0), PMT_CELLS, axis=1)[:layers, :cells]


def pmt_shape(geometry: Calorimeter) -> tuple[int, int]:
    """Rows and columns of photomultipliers; those at an edge may have fewer cells."""
    return -(-geometry.n_layers // PMT_CELLS), -(-geometry.n_cells // PMT_CELLS)
