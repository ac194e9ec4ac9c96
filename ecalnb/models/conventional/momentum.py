"""Energy over momentum: what the tracker knows of a particle that the calorimeter does not.

An electron leaves all its energy in the calorimeter, so E/p is near 1, with a tail above it from photons that it has
radiated in the tracker; a proton leaves a part. Protons that look like electrons are those whose first interaction
gave much to neutral pions, and the rest of their energy escaped: E/p rejects them though the shower does not.

The score is ``ln [f_electron(x | E) / f_proton(x | E)]`` with ``x = ln(E / |R|)``, E the reconstructed energy and R the
rigidity. Its sign is not used: that tells electrons from protons, but not positrons, which are what a calorimeter is
asked for. If x and the shower are independent at a given energy for either species, the logarithm of the ratio for
both together is the sum of this score and of that of the shower (J. Neyman and E. Pearson, Phil. Trans. R. Soc. A 231
(1933) 289: no cut on anything else rejects more).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter, map_coordinates

__all__ = ["MomentumLikelihood"]

FloatArray = npt.NDArray[np.float64]

_LIMIT = 4.0  # of ln(E/p); at 2 TV the tracker's curvature is compatible with zero, and |R| is anything above
_STEPS = 161
_ENERGY_STEPS = 41


@dataclass(frozen=True, eq=False)
class MomentumLikelihood:
    """Densities of ln(E / abs(R)) for electrons and protons, as functions of the energy.

    Parameters
    ----------
    log_energy : array, shape (41,)
        Logarithms of the energies, GeV, at equal steps.
    log_ratio : array, shape (41, 161)
        Score at these energies and at equal steps of ``ln(E / abs(R))`` from -4 to 4.
    """

    log_energy: FloatArray
    log_ratio: FloatArray

    @classmethod
    def fit(
        cls,
        energy: npt.ArrayLike,
        rigidity: npt.ArrayLike,
        electron: npt.ArrayLike,
        weights: npt.ArrayLike | None = None,
    ) -> MomentumLikelihood:
        """Estimate the densities from training events, by histograms that are smoothed in energy and E/p.

        Widths of the normal kernels are those of Silverman in two dimensions (Density Estimation (1986), sec. 4.3.2).
        A share of one event is spread evenly over all E/p.

        Parameters
        ----------
        energy : array_like, shape (n,)
            Reconstructed energies ``en3d``, GeV.
        rigidity : array_like, shape (n,)
            Measured rigidities, GV, of either sign; events without one (NaN) do not take part.
        electron : array_like of bool, shape (n,)
            Which events are electrons.
        weights : array_like, shape (n,), optional
            Weights of the events.

        Raises
        ------
        ValueError
            If lengths differ, an energy is not positive, or a species has fewer than 50 events.
        """
        e, r, kind = np.asarray(energy, float), np.asarray(rigidity, float), np.asarray(electron, bool)
        w = np.ones(len(e)) if weights is None else np.asarray(weights, float)
        if not e.shape == r.shape == kind.shape == w.shape or e.ndim != 1:
            raise ValueError(
                f"energies, rigidities, kinds and weights have lengths {[len(v) for v in (e, r, kind, w)]}"
            )
        if not (e > 0).all():
            raise ValueError(f"an energy is {e.min():g} GeV; expected positive ones")
        known = ~np.isnan(r) & (w > 0)
        y, x = np.log(e), _log_ratio(e, r)
        grid = np.linspace(y[known].min(), y[known].max(), _ENERGY_STEPS) if known.any() else np.zeros(_ENERGY_STEPS)
        logs = []
        for name, species in (("electrons", known & kind), ("protons", known & ~kind)):
            if species.sum() < 50 or grid[0] == grid[-1]:
                raise ValueError(f"{species.sum()} {name} have a rigidity; expected 50 or more at several energies")
            logs.append(_log_density(y[species], x[species], w[species], grid))
        return cls(grid, logs[0] - logs[1])

    def logits(self, energy: npt.ArrayLike, rigidity: npt.ArrayLike) -> FloatArray:
        """Score of events, (n,), high for electrons; 0 without a rigidity (NaN), which says nothing.

        Parameters
        ----------
        energy : array_like, shape (n,)
            Reconstructed energies, GeV; beyond those of the training the densities of its ends are used.
        rigidity : array_like, shape (n,)
            Measured rigidities, GV.
        """
        e, r = np.asarray(energy, float), np.asarray(rigidity, float)
        step = self.log_energy[1] - self.log_energy[0]
        row = np.clip((np.log(e) - self.log_energy[0]) / step, 0, _ENERGY_STEPS - 1)
        column = (np.nan_to_num(_log_ratio(e, r)) + _LIMIT) * (_STEPS - 1) / (2 * _LIMIT)
        return np.where(np.isnan(r), 0.0, map_coordinates(self.log_ratio, [row, column], order=1))


def _log_ratio(energy: FloatArray, rigidity: FloatArray) -> FloatArray:
    return np.clip(np.log(energy / np.maximum(abs(rigidity), 1e-9)), -_LIMIT, _LIMIT)


def _log_density(y: FloatArray, x: FloatArray, weights: FloatArray, grid: FloatArray) -> FloatArray:
    """Logarithm of the density of x at the energies of the grid, (41, 161)."""
    x_step, y_step = 2 * _LIMIT / (_STEPS - 1), grid[1] - grid[0]
    edges = [
        np.append(grid - y_step / 2, grid[-1] + y_step / 2),
        np.linspace(-_LIMIT - x_step / 2, _LIMIT + x_step / 2, _STEPS + 1),
    ]
    counts = np.histogram2d(y, x, edges, weights=weights)[0]
    n = weights.sum() ** 2 / (weights**2).sum()
    # The core of E/p is narrow beside its tails: the smaller of both widths, as for one dimension (eq. 3.31).
    widths = []
    for values, step in ((y, y_step), (x, x_step)):
        quartiles = np.subtract(*np.quantile(values, [0.75, 0.25])) / 1.349
        widths.append(max(min(float(values.std()), quartiles or np.inf) * n ** (-1 / 6) / step, 0.5))
    smooth = gaussian_filter(counts, widths, mode="nearest", truncate=6.0)
    total = smooth.sum(axis=1, keepdims=True)
    # One event, by its share of those that the kernel takes in, could have been anywhere.
    share = 1 / (1 + total * n / weights.sum() * widths[0] * np.sqrt(4 * np.pi))
    density = smooth / np.maximum(total, 1e-300) / x_step
    return np.log((1 - share) * density + share / (2 * _LIMIT))
