"""Calibration: gains that are not what they are taken for, the same in all events of a detector."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ...geometry import Calorimeter
from .effect import Circumstances, Effect, FloatArray, channels_of_pmts, parameter, pmt_shape

__all__ = ["Calibration", "Equalisation"]


@dataclass(frozen=True)
class Calibration(Effect):
    """Spread of gains that calibration does not see, by cell and by photomultiplier: Gaussian, mean 1.

    Parameters
    ----------
    cell_spread : float
        Relative standard deviation from cell to cell.
    pmt_spread : float
        The same from photomultiplier to photomultiplier (2 x 2 cells), on top.
    """

    name: ClassVar[str] = "calibration"
    cell_spread: float = parameter(0, 0.3, default=0.0)
    pmt_spread: float = parameter(0, 0.3, default=0.0)

    def gains(self, geometry: Calorimeter, constants: np.random.Generator) -> FloatArray:
        """Relative gain of each cell, shape (n_layers, n_cells)."""
        for_cells, for_pmts = constants.spawn(2)
        return _spread(geometry.shape, self.cell_spread, for_cells) * channels_of_pmts(
            _spread(pmt_shape(geometry), self.pmt_spread, for_pmts), geometry
        )

    def __call__(self, energies: FloatArray, circumstances: Circumstances) -> FloatArray:
        """Energies times the gains."""
        energies *= self.gains(circumstances.geometry, circumstances.constants)
        return energies


@dataclass(frozen=True)
class Equalisation(Effect):
    """What equalisation with minimum ionising particles leaves.

    Each cell is set by the signal of ``n_mip`` particles of relative width ``mip_width``, so that its constant is wrong
    by ``mip_width / sqrt(n_mip)``. In flight gains drift with temperature and age between two equalisations, by
    photomultiplier, and the particles' own energy loss is not the same in all depths, by layer.

    Parameters
    ----------
    mip_width : float
        Relative standard deviation of the signal of one particle in one cell.
    n_mip : float
        Particles for each cell.
    pmt_drift : float
        Relative standard deviation of the drift of photomultipliers since.
    layer_spread : float
        Relative standard deviation of the error of whole layers.
    """

    name: ClassVar[str] = "equalisation"
    mip_width: float = parameter(0, 3)
    n_mip: float = parameter(1, 1e12)
    pmt_drift: float = parameter(0, 0.3, default=0.0)
    layer_spread: float = parameter(0, 0.3, default=0.0)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.residual > 0.3:
            raise ValueError(
                f"n_mip of {self.name} is {self.n_mip!r}, which leaves an error of {self.residual:.2g}; expected 0.3 "
                "or less"
            )

    @property
    def residual(self) -> float:
        """Relative error of the constant of a cell, from the number of particles."""
        return self.mip_width / math.sqrt(self.n_mip)

    def gains(self, geometry: Calorimeter, constants: np.random.Generator) -> FloatArray:
        """Energy of each cell over what it should be, shape (n_layers, n_cells)."""
        for_cells, for_pmts, for_layers = constants.spawn(3)
        pmts = channels_of_pmts(_spread(pmt_shape(geometry), self.pmt_drift, for_pmts), geometry)
        layers = _spread((geometry.n_layers, 1), self.layer_spread, for_layers)
        return _spread(geometry.shape, self.residual, for_cells) * pmts * layers

    def __call__(self, energies: FloatArray, circumstances: Circumstances) -> FloatArray:
        """Energies times what is left."""
        energies *= self.gains(circumstances.geometry, circumstances.constants)
        return energies


def _spread(shape: tuple[int, int], sigma: float, generator: np.random.Generator) -> FloatArray:
    # A detector has no cell that turns signals round: beyond five standard deviations there is none of 1,296 anyway.
    return np.maximum(1 + sigma * generator.standard_normal(shape), 0)
