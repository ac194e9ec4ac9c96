"""Light: its way along the fibres, to the anodes of a photomultiplier, and its conversion to photo-electrons."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ...geometry import Calorimeter, Tracks
from .effect import PMT_CELLS, Circumstances, Effect, FloatArray, parameter

__all__ = ["Attenuation", "AttenuationCorrection", "CrossTalk", "PhotoStatistics"]


@dataclass(frozen=True)
class _Fibre(Effect):
    """Light at a distance d from where it was made: ``f exp(-d / fast) + (1 - f) exp(-d / slow)``.

    The two components, and photomultipliers that are alternately at either end, are those of AMS's own simulation
    (class AMSEcalRawEvent of the collaboration's software). Gains are set for the middle of the fibres, where the
    factor is 1. All light of a layer is made where the track crosses its middle, in the coordinate that it does not
    measure: a shower is narrower than the fast component is long.
    """

    fast_fraction: float = parameter(0, 1)
    fast_length: float = parameter(10, 1e5, "mm")
    slow_length: float = parameter(10, 1e5, "mm")

    def light(self, distance: FloatArray) -> FloatArray:
        """Light, in parts of that made, ``distance`` mm away."""
        fast = self.fast_fraction * np.exp(-distance / self.fast_length)
        return fast + (1 - self.fast_fraction) * np.exp(-distance / self.slow_length)

    def factors(self, tracks: Tracks, geometry: Calorimeter) -> FloatArray:
        """Light relative to that from the middle of the fibres, at either end, shape (n, n_layers, 2).

        Tracks that have left are taken to be at the end; those that are NaN, in the middle.
        """
        along = geometry.swap_views().project(tracks)  # the coordinate that a layer does not measure
        half = geometry.width / 2
        along = np.clip(np.nan_to_num(along), -half, half)
        both = np.stack([along + half, half - along], axis=2)
        factors: FloatArray = self.light(both) / self.light(np.array(half))
        return factors

    @staticmethod
    def scale(energies: FloatArray, factors: FloatArray) -> FloatArray:
        """Energies times the factor of the end at which each cell is read."""
        columns = np.arange(energies.shape[2]) // PMT_CELLS % 2
        for end in range(2):
            energies[:, :, columns == end] *= factors[:, :, end, np.newaxis]
        return energies


@dataclass(frozen=True)
class Attenuation(_Fibre):
    """Attenuation of the light in the fibres.

    Parameters
    ----------
    fast_fraction : float
        Share of the fast component, f.
    fast_length, slow_length : float
        Attenuation lengths, mm.
    """

    name: ClassVar[str] = "attenuation"

    def __call__(self, energies: FloatArray, circumstances: Circumstances) -> FloatArray:
        """Energies in terms of the light at the photomultipliers."""
        if circumstances.tracks is None:
            raise ValueError(
                "attenuation needs the tracks of the events, which are missing; expected one for each event"
            )
        return self.scale(energies, self.factors(circumstances.tracks, circumstances.geometry))


@dataclass(frozen=True)
class AttenuationCorrection(_Fibre):
    """Correction for the attenuation, as reconstruction does it: with the measured track, and lengths that are assumed.

    What is left is the factor of the attenuation at the true position over that at the measured one. With one
    component of length l and an error dx of the position that is exp(-dx / l), 1 % for 25 mm in 2.5 m; with an assumed
    length l', at x from the middle, exp(-x (1 / l - 1 / l')).

    Parameters
    ----------
    fast_fraction : float
        Share of the fast component, f.
    fast_length, slow_length : float
        Attenuation lengths, mm.
    """

    name: ClassVar[str] = "attenuation_correction"

    def __call__(self, energies: FloatArray, circumstances: Circumstances) -> FloatArray:
        """Corrected energies; events without a measured track stay as they are."""
        if circumstances.measured is None:
            return energies
        return self.scale(energies, 1 / self.factors(circumstances.measured, circumstances.geometry))


@dataclass(frozen=True)
class CrossTalk(Effect):
    """Light that reaches another of the four anodes of a photomultiplier.

    It is lost to the cell that it belongs to: the energy of a photomultiplier is conserved. A cell keeps 1 - 2
    ``adjacent`` - ``diagonal``. At an edge without a whole photomultiplier there is none.

    Parameters
    ----------
    adjacent : float
        Share that reaches each of the two adjacent anodes: the next cell of the layer, and the same cell of the other
        layer.
    diagonal : float
        Share that reaches the one across.
    """

    name: ClassVar[str] = "cross_talk"
    adjacent: float = parameter(0, 0.25)
    diagonal: float = parameter(0, 0.25, default=0.0)

    def __call__(self, energies: FloatArray, circumstances: Circumstances) -> FloatArray:
        """Energies with the shares moved."""
        layers, cells = (size - size % PMT_CELLS for size in circumstances.geometry.shape)
        inside = energies[:, :layers, :cells]
        blocks = inside.reshape(len(energies), layers // PMT_CELLS, PMT_CELLS, cells // PMT_CELLS, PMT_CELLS)
        layer, cell = blocks[:, :, ::-1], blocks[..., ::-1]
        mixed = (1 - 2 * self.adjacent - self.diagonal) * blocks + self.adjacent * (layer + cell)
        if self.diagonal:
            mixed += self.diagonal * layer[..., ::-1]
        energies[:, :layers, :cells] = mixed.reshape(inside.shape)
        return energies


@dataclass(frozen=True)
class PhotoStatistics(Effect):
    """Number of photo-electrons, Poisson, and the spread of their multiplication.

    The signal of k photo-electrons is the sum of k gamma variables of mean 1 and the relative width of the
    single-electron signal, w: the relative variance of a cell of energy E is (1 + w^2) / (p E).

    Parameters
    ----------
    photo_electrons : float
        p, photo-electrons per GeV of the image scale, from the middle of the fibres.
    single_electron_width : float
        w; 0 for a number of photo-electrons alone.
    """

    name: ClassVar[str] = "photo_statistics"
    photo_electrons: float = parameter(1, 1e9, "per GeV")
    single_electron_width: float = parameter(0, 3, default=0.0)

    def __call__(self, energies: FloatArray, circumstances: Circumstances) -> FloatArray:
        """Energies that the amplified photo-electrons stand for."""
        for_number, for_width = circumstances.generator.spawn(2)
        hit = np.flatnonzero(energies > 0)
        signal = for_number.poisson(energies.reshape(-1)[hit] * self.photo_electrons).astype(np.float64)
        if variance := self.single_electron_width**2:
            some = signal > 0
            signal[some] = for_width.gamma(signal[some] / variance, variance)
        energies.reshape(-1)[hit] = signal / self.photo_electrons
        return energies
