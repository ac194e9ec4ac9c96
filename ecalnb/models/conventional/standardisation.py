"""Shower variables without their dependence on the energy.

Each variable ``v`` becomes ``u = (v - m(E)) / s(E)`` with the mean ``m`` and the spread ``s`` that it has for electrons
of the energy E, so that a classifier compares a shower with electrons of its own energy, as the variables of AMS's
boosted decision tree are.

``m`` and ``ln s`` are smooth functions of x = ln E: natural cubic splines, which are straight lines before the first
and behind the last knot, where few events say how they bend. Their coefficients maximise the likelihood of normal
distributions, ``-sum_i [ln s(x_i) + (v_i - m(x_i))^2 / (2 s(x_i)^2)]``. So no bins are needed, and for any shape of the
distribution u has mean 0 and mean square 1 over the electrons, at all energies as far as the splines follow.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize

__all__ = ["Standardisation"]

FloatArray = npt.NDArray[np.float64]

EVENTS_PER_FUNCTION, MOST_FUNCTIONS = 50, 5
"""A spline has one function (a constant) for fewer than 100 events, and one more for each further 50, up to five."""

_FLOOR = 1e-3  # least spread at any energy, of that at all energies: for a variable that is the same for most events

REACH = np.log(10.0)
"""How far the straight lines are followed: to a tenth of the lowest and ten times the highest energy."""


@dataclass(frozen=True, eq=False)
class Standardisation:
    """Means and spreads of variables as functions of the energy.

    Outside the energies that it was fitted to, means go on as straight lines in ln E, down to a tenth of the lowest and
    up to ten times the highest energy, and are constant beyond. Spreads stay what they are at the lowest and highest
    energy: an extrapolated one could make anything look like an electron. An event without a positive energy has the
    values at the lower end.

    Parameters
    ----------
    knots : array, shape (k,)
        Knots in ln(E / GeV), rising.
    range : array, shape (2,)
        Lowest and highest ln(E / GeV) of the events it was fitted to.
    mean, log_spread : array, shape (n_variables, k)
        Coefficients of the splines of mean and ln spread.
    """

    knots: FloatArray
    range: FloatArray
    mean: FloatArray
    log_spread: FloatArray

    @classmethod
    def fit(cls, values: npt.ArrayLike, energy: npt.ArrayLike) -> Standardisation:
        """Fit it to electrons.

        Parameters
        ----------
        values : array_like, shape (n, n_variables)
            The variables; NaN where one is not defined for an event, which then does not count for it.
        energy : array_like, shape (n,)
            Reconstructed energies, GeV; events without a positive one do not count.

        Raises
        ------
        ValueError
            If no event is left.
        """
        v, e = np.asarray(values, dtype=float), np.asarray(energy, dtype=float)
        usable = np.isfinite(e) & (e > 0)
        if not usable.any():
            raise ValueError(f"none of the {len(e)} events has a positive energy; a standardisation needs some")
        v, x = v[usable], np.log(e[usable])
        n_functions = int(np.clip(len(x) // EVENTS_PER_FUNCTION, 1, MOST_FUNCTIONS))
        # As many events between neighbouring knots, and 5 % outside of them to hold the straight ends.
        knots = np.quantile(x, np.linspace(0.05, 0.95, max(n_functions, 2)))
        if knots[-1] - knots[0] < 1e-3 * n_functions or n_functions == 1:  # nothing to learn about the energy
            knots = knots[:1]
        knots = np.unique(knots)
        basis = _natural_spline(x, knots)
        mean, log_spread = np.zeros((2, v.shape[1], len(knots)))
        for variable, column in enumerate(v.T):
            mean[variable], log_spread[variable] = _fit_normal(column, basis)
        return cls(knots, np.array([x.min(), x.max()]), mean, log_spread)

    def mean_and_spread(self, energy: npt.ArrayLike) -> tuple[FloatArray, FloatArray]:
        """Mean and spread of each variable at energies in GeV, both of shape (n, n_variables)."""
        e = np.atleast_1d(np.asarray(energy, dtype=float))
        low, high = self.range[0] - REACH, self.range[1] + REACH
        x = np.full(len(e), low)
        np.log(e, out=x, where=np.isfinite(e) & (e > 0))
        mean = _natural_spline(np.clip(x, low, high), self.knots) @ self.mean.T
        return mean, np.exp(_natural_spline(np.clip(x, *self.range), self.knots) @ self.log_spread.T)

    def __call__(self, values: npt.ArrayLike, energy: npt.ArrayLike) -> FloatArray:
        """Standardise variables.

        Parameters
        ----------
        values : array_like, shape (n, n_variables)
            The variables; NaN stays NaN.
        energy : array_like, shape (n,)
            Reconstructed energies, GeV.
        """
        mean, spread = self.mean_and_spread(energy)
        return (np.asarray(values, dtype=float) - mean) / spread

    def to_arrays(self) -> dict[str, FloatArray]:
        """All numbers by name."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, npt.ArrayLike]) -> Standardisation:
        """Make it from the numbers that `to_arrays` gave."""
        return cls(**{field.name: np.asarray(arrays[field.name], dtype=float) for field in fields(cls)})


def _natural_spline(x: FloatArray, knots: FloatArray) -> FloatArray:
    """Functions that natural cubic splines with these knots are sums of, shape (n, n_knots): 1, x, and bends.

    T. Hastie, R. Tibshirani and J. Friedman, The Elements of Statistical Learning (2009), eqs. 5.4 and 5.5; here with x
    in units of the range of the knots.
    """
    if len(knots) == 1:
        return np.ones((len(x), 1))
    width = knots[-1] - knots[0]
    t, at = (x - knots[0]) / width, (knots - knots[0]) / width
    cubes = np.maximum(t[:, None] - at, 0) ** 3
    d = (cubes[:, :-1] - cubes[:, -1:]) / (at[-1] - at[:-1])
    return np.column_stack([np.ones(len(x)), t, d[:, :-1] - d[:, -1:]])


def _fit_normal(values: FloatArray, basis: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Coefficients of mean and ln spread; those of mean 0 and spread 1 where there is nothing to fit."""
    defined = np.isfinite(values)
    v, b = values[defined], basis[defined]
    mean, log_spread = np.zeros((2, basis.shape[1]))
    if not len(v):
        return mean, log_spread
    center, scale = v.mean(), v.std()
    if len(v) < EVENTS_PER_FUNCTION or scale <= 1e-12 * max(1.0, abs(center)):
        mean[0], log_spread[0] = center, np.log(scale) if scale > 1e-12 * max(1.0, abs(center)) else 0.0
        return mean, log_spread
    v = (v - center) / scale
    for _ in range(3):  # mean and spread in turns: the mean hardly depends on the weights
        weight = np.exp(-b @ log_spread)
        mean = np.linalg.lstsq(b * weight[:, None], v * weight, rcond=None)[0]
        log_spread = _fit_log_spread((v - b @ mean) ** 2 + _FLOOR**2, b, log_spread)
    mean, log_spread = mean * scale, log_spread.copy()
    mean[0] += center
    log_spread[0] += np.log(scale)
    return mean, log_spread


def _fit_log_spread(squares: FloatArray, basis: FloatArray, start: FloatArray) -> FloatArray:
    """Minimise ``sum(squares exp(-2 basis c) / 2 + basis c)`` over c, which is convex."""

    def scaled(c: FloatArray) -> FloatArray:
        return squares * np.exp(np.clip(-2 * basis @ c, -50, 50))

    result = minimize(
        lambda c: float(np.mean(scaled(c) / 2 + basis @ c)),
        start,
        jac=lambda c: basis.T @ (1 - scaled(c)) / len(squares),
        hess=lambda c: basis.T @ (2 * scaled(c)[:, None] * basis) / len(squares) + 1e-9 * np.eye(len(c)),
        method="trust-exact",
        options={"gtol": 1e-7},
    )
    return result.x
