"""Fit of the energies of single spots in the fast electromagnetic simulation to Geant4 electrons."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize
from scipy.stats import gamma

from .fit_lateral import LateralSample

__all__ = ["fit_spots"]

FloatArray = npt.NDArray[np.float64]

FAR, FIRST_LAYER = 45.0, 3
LOW, HIGH = 0.05e-3, 0.6e-3
BINS = np.concatenate([[0.1, 0.25, 0.5], np.arange(1, 31), [40, 60]]) * 1e-3
FINE = 0.05e-3
# Not fitted: a free share of the two wanders off to spots so small that they take the place of the dust.
WEIGHTS = np.array([0.5, 0.5])


def fit_spots(sample: LateralSample) -> dict[str, Any]:
    """Spectrum of spot energies as two gamma distributions, from cells that hardly ever get more than one.

    These are cells far from the axis whose mean energy, as seen in all cells at such a distance and age, is a fraction
    of an MeV. Pairs of spots are allowed for. Below 0.1 MeV there is other dust.
    """
    energy = sample.images[:, FIRST_LAYER:]
    sums = energy.sum(axis=2, keepdims=True)
    away = abs(sample.distance[:, FIRST_LAYER:])
    group = (np.minimum(away / 15, 22)).astype(int) * sample.near.shape[2]
    group += sample.near[:, FIRST_LAYER:].argmax(axis=2)[..., None]
    part = np.bincount(group.ravel(), energy.ravel()) / np.maximum(
        np.bincount(group.ravel(), np.broadcast_to(sums, energy.shape).ravel()), 1e-9
    )
    expected = part[group] * sums
    cells = energy[(expected > LOW) & (expected < HIGH) & (away > FAR)]
    seen = np.histogram(cells, BINS)[0]
    rate = -np.log(1 - seen.sum() / len(cells))
    grid = np.arange(FINE / 2, BINS[-1] + 0.02, FINE)

    def single(p: FloatArray) -> FloatArray:
        density = sum(
            weight * gamma.pdf(grid, shape, scale=mean / shape)
            for weight, shape, mean in zip(WEIGHTS, np.exp(p[:2]), np.exp(p[2:]) * 1e-3, strict=True)
        )
        normalised: FloatArray = density / density.sum()
        return normalised

    def loss(p: FloatArray) -> float:
        one = single(p)
        both = one + rate / 2 * np.convolve(one, one)[: len(grid)]
        cumulative = np.interp(BINS, grid + FINE / 2, np.cumsum(both))
        probability = np.diff(cumulative) / (cumulative[-1] - cumulative[0])
        return float(-(seen * np.log(probability + 1e-12)).sum())

    best = minimize(loss, [-0.36, 0.89, 1.52, 1.59], method="Nelder-Mead", options={"maxiter": 4000, "maxfev": 4000}).x
    return {
        "spot_weights": WEIGHTS,
        "spot_shapes": np.exp(best[:2]),
        "spot_means": np.exp(best[2:]) * 1e-3,
    }
