"""Photomultipliers and electronics: saturation, noise and zero suppression, digitisation, dead channels."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from scipy import special

from ...geometry import Calorimeter
from .effect import PMT_CELLS, Circumstances, Effect, FloatArray, channels_of_pmts, parameter, pmt_shape

__all__ = ["DeadChannels", "Digitisation", "Noise", "Saturation"]


@dataclass(frozen=True)
class Saturation(Effect):
    """Loss of gain with the current in a photomultiplier's divider, the same for its four anodes.

    With the sum S of the four the signal is 1 / (1 + S / ``half_gain``) of what it should be: smooth, and 1 % low at a
    hundredth of ``half_gain``.

    Parameters
    ----------
    half_gain : float
        Sum of the four anodes, GeV, at which half of the signal is left.
    """

    name: ClassVar[str] = "saturation"
    half_gain: float = parameter(1, 1e9, "GeV")

    def __call__(self, energies: FloatArray, circumstances: Circumstances) -> FloatArray:
        """Energies after the loss."""
        layers, cells = circumstances.geometry.shape
        by_layer = np.add.reduceat(energies, np.arange(0, layers, PMT_CELLS), axis=1)
        sums = np.add.reduceat(by_layer, np.arange(0, cells, PMT_CELLS), axis=2)
        gains = 1 / (1 + sums / self.half_gain)
        energies *= np.repeat(np.repeat(gains, PMT_CELLS, axis=1), PMT_CELLS, axis=2)[:, :layers, :cells]
        return energies


@dataclass(frozen=True)
class Noise(Effect):
    """Electronics noise, the same Gaussian in all cells, and zero suppression.

    In cells without light only noise above the threshold is drawn: the cells that have it are a Bernoulli series,
    whose gaps are geometric, and its size is that of the Gaussian's tail. That is the same distribution, at a fraction
    of the cost.

    Parameters
    ----------
    sigma : float
        Standard deviation, GeV.
    threshold : float
        Cells with less are set to 0, GeV. No cell is ever negative.
    """

    name: ClassVar[str] = "noise"
    sigma: float = parameter(0, 1, "GeV")
    threshold: float = parameter(0, 1, "GeV", default=0.0)

    def __call__(self, energies: FloatArray, circumstances: Circumstances) -> FloatArray:
        """Energies with noise, those below the threshold 0."""
        flat = energies.reshape(-1)
        if self.sigma:
            in_hits, gaps, sizes = circumstances.generator.spawn(3)
            hit = flat > 0
            share = float(special.ndtr(-self.threshold / self.sigma))
            cells = _bernoulli(share, flat.size, gaps)
            # A uniform number from 0 to the share, through the quantile function: the tail above the threshold.
            tail = -self.sigma * special.ndtri(share * (1 - sizes.random(len(cells))))
            flat[hit] += in_hits.normal(0, self.sigma, np.count_nonzero(hit))
            empty = ~hit[cells]
            flat[cells[empty]] = tail[empty]
        flat[flat < self.threshold] = 0
        return energies


def _bernoulli(share: float, n: int, generator: np.random.Generator) -> npt.NDArray[np.intp]:
    """Which of n trials with the probability ``share`` succeed, in the same way however large n is."""
    found: list[npt.NDArray[np.intp]] = []
    last = -1
    while share * n > 1e-12 and last < n:
        positions = last + np.cumsum(np.minimum(generator.geometric(share, 1 + int(1.1 * share * n)), n + 1))
        found.append(positions)
        last = int(positions[-1])
    return np.concatenate(found)[: np.searchsorted(np.concatenate(found), n)] if found else np.empty(0, np.intp)


@dataclass(frozen=True)
class Digitisation(Effect):
    """Two ADC ranges: rounding to channels, and the largest signal.

    Up to ``channels`` steps the high gain is used, then the low gain with steps ``gain_ratio`` times as large, which
    ends at ``channels`` of those; what is larger is read as that. Rounding has a variance of a twelfth of the square
    of a step.

    Parameters
    ----------
    step : float
        Channel of the high gain, GeV.
    gain_ratio : float
        High gain over low gain.
    channels : float
        Channels above the pedestal.
    """

    name: ClassVar[str] = "digitisation"
    step: float = parameter(1e-9, 1, "GeV")
    gain_ratio: float = parameter(1, 1e4)
    channels: float = parameter(1, 1e9)

    @property
    def largest(self) -> float:
        """Largest energy of a cell, GeV."""
        return self.step * self.gain_ratio * self.channels

    def __call__(self, energies: FloatArray, circumstances: Circumstances) -> FloatArray:
        """Energies as channels of the ADC give them."""
        del circumstances
        flat = energies.reshape(-1)
        hit = np.flatnonzero(flat)
        values = flat[hit]
        steps = np.where(values > self.step * self.channels, self.step * self.gain_ratio, self.step)
        flat[hit] = np.minimum(np.rint(values / steps) * steps, self.largest)
        return energies


@dataclass(frozen=True)
class DeadChannels(Effect):
    """Cells and photomultipliers that read nothing: a fixed set of the detector.

    Parameters
    ----------
    cell_fraction, pmt_fraction : float
        Fraction of cells and of photomultipliers, rounded to a whole number, that are drawn once for the detector.
    cells : list of [layer, cell]
        Further dead cells, counted from 0.
    pmts : list of [row, column]
        Further dead photomultipliers: row ``layer // 2`` and column ``cell // 2``.
    """

    name: ClassVar[str] = "dead_channels"
    cell_fraction: float = parameter(0, 1, default=0.0)
    pmt_fraction: float = parameter(0, 1, default=0.0)
    cells: tuple[tuple[int, int], ...] = field(default=())
    pmts: tuple[tuple[int, int], ...] = field(default=())

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("cells", "pmts"):
            object.__setattr__(self, name, _pairs(getattr(self, name), f"{name} of {self.name}"))

    def dead(self, geometry: Calorimeter, constants: np.random.Generator) -> npt.NDArray[np.bool_]:
        """Which cells are dead, shape (n_layers, n_cells).

        Raises
        ------
        ValueError
            If a cell or photomultiplier does not exist.
        """
        for_cells, for_pmts = constants.spawn(2)
        cells = _drawn(self.cell_fraction, self.cells, geometry.shape, for_cells, f"cells of {self.name}")
        pmts = _drawn(self.pmt_fraction, self.pmts, pmt_shape(geometry), for_pmts, f"pmts of {self.name}")
        dead: npt.NDArray[np.bool_] = cells | channels_of_pmts(pmts, geometry)
        return dead

    def __call__(self, energies: FloatArray, circumstances: Circumstances) -> FloatArray:
        """Energies with 0 in dead cells."""
        energies[:, self.dead(circumstances.geometry, circumstances.constants)] = 0
        return energies


def _pairs(values: Any, what: str) -> tuple[tuple[int, int], ...]:
    try:
        pairs = tuple((first, second) for first, second in values)
    except (TypeError, ValueError):
        raise ValueError(f"{what} are {values!r}; expected pairs of whole numbers, such as [[4, 31]]") from None
    if not all(isinstance(number, int) and not isinstance(number, bool) for pair in pairs for number in pair):
        raise ValueError(f"{what} are {values!r}; expected pairs of whole numbers, such as [[4, 31]]")
    return pairs


def _drawn(
    fraction: float,
    listed: tuple[tuple[int, int], ...],
    shape: tuple[int, int],
    generator: np.random.Generator,
    what: str,
) -> npt.NDArray[np.bool_]:
    chosen = np.zeros(shape, dtype=bool)
    number = round(fraction * chosen.size)
    chosen.flat[generator.permutation(chosen.size)[:number]] = True  # a larger fraction adds to a smaller one's
    for row, column in listed:
        if not (0 <= row < shape[0] and 0 <= column < shape[1]):
            raise ValueError(f"{what} have [{row}, {column}]; expected 0 to {shape[0] - 1} and 0 to {shape[1] - 1}")
        chosen[row, column] = True
    return chosen
