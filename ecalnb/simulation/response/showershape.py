"""Showers of flight: what differs from a simulation before the light is made, with energy conserved in each event."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from .effect import Circumstances, Effect, FloatArray, parameter

__all__ = ["ShowerDepth", "ShowerWidth"]


@dataclass(frozen=True)
class ShowerDepth(Effect):
    """Showers that have come further when they enter, because of material above that the simulation lacks.

    The energies of layers are scaled to a profile that is shifted by a part of a layer: the one at ``i + shift``, from
    the profile over three neighbouring layers (weights 1, 2, 1), interpolated between layers. Only this smooth profile
    enters, so that the fluctuations of layers stay as they are: for a minimum ionising particle nothing changes. Each
    layer keeps its lateral shape, because neighbouring layers may measure another view, and each event its energy. An
    exponential profile exp(-k i) is scaled by a constant, as it has to be, and the mean depth of a contained shower
    with the variance v, in layers squared, falls by ``shift`` v / (v + 1/2).

    Parameters
    ----------
    shift : float
        In layers (AMS: 9.25 mm, 0.94 radiation lengths); negative for less material.
    """

    name: ClassVar[str] = "shower_depth"
    shift: float = parameter(-1, 1, "layers")

    def __call__(self, energies: FloatArray, circumstances: Circumstances) -> FloatArray:
        """Energies of layers scaled to the shifted profile."""
        del circumstances
        layers = energies.sum(axis=2)
        ends = np.pad(layers, ((0, 0), (1, 1)), mode="edge")
        smooth = (ends[:, :-2] + 2 * layers + ends[:, 2:]) / 4
        ends = np.pad(smooth, ((0, 0), (1, 1)), mode="edge")
        towards = ends[:, 2:] if self.shift > 0 else ends[:, :-2]
        shifted = (1 - abs(self.shift)) * smooth + abs(self.shift) * towards
        scale = np.divide(shifted, smooth, out=np.zeros_like(smooth), where=smooth > 0)
        after = (scale * layers).sum(axis=1, keepdims=True)
        # A shift by a whole layer may leave nothing where only one layer has energy: that event stays as it is.
        kept = np.divide(layers.sum(axis=1, keepdims=True), after, out=np.zeros_like(after), where=after > 0)
        energies *= np.where(kept > 0, scale * kept, 1.0)[:, :, np.newaxis]
        return energies


@dataclass(frozen=True)
class ShowerWidth(Effect):
    """Wider showers: a share of each cell's energy goes to its two neighbours in the layer, half to each.

    At the sides the half without a neighbour stays. The energy of each layer is conserved, and the lateral variance
    grows by ``share`` times the square of the pitch.

    Parameters
    ----------
    share : float
        0 to 1.
    """

    name: ClassVar[str] = "shower_width"
    share: float = parameter(0, 1)

    def __call__(self, energies: FloatArray, circumstances: Circumstances) -> FloatArray:
        """Energies with the share moved."""
        del circumstances
        moved = energies * (self.share / 2)
        energies *= 1 - self.share
        energies[:, :, 1:] += moved[:, :, :-1]
        energies[:, :, :-1] += moved[:, :, 1:]
        energies[:, :, 0] += moved[:, :, 0]
        energies[:, :, -1] += moved[:, :, -1]
        return energies
