"""Probability densities of correlated variables whose distributions change with the energy.

The density of the variables q = (q_1, ..., q_k) of a particle of reconstructed energy E is

``f(q | E) = c(z) prod_i h_i(u_i) / s_i(E)``  with  ``u_i = (q_i - m_i(E)) / s_i(E)``  and  ``z_i = G^-1(H_i(u_i))``

Mean and spread ``m_i``, ``s_i`` are smooth in ln E (:mod:`~ecalnb.models.conventional.standardisation`), so there are
no bins of energy. The standardised variable has the density ``h_i`` with the cumulative distribution ``H_i``, of any
shape, estimated by a kernel. ``c`` is the Gaussian copula of the correlation matrix R of the normal scores z (``G`` is
the standard normal distribution; R. B. Nelsen, An Introduction to Copulas (2006), sec. 2.3; H. Liu, J. Lafferty and L.
Wasserman, J. Mach. Learn. Res. 10 (2009) 2295): ``ln c = -ln det R / 2 - z^T (R^-1 - 1) z / 2``. It takes care of the
correlations, which a product of one-dimensional densities counts twice.

Kernels work on ``asinh u``, in which long tails are short. To f comes the share of one event, spread evenly over
``|asinh u| < 8`` (1,490 spreads) in all variables: an event that is like none of the sample is not impossible. In a
ratio of two densities the even part must be the same for both, so that such an event is as likely for one kind of
particle as for the other. A variable that is not defined for an event is left out, which for this copula is exact: the
others have the same density without it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter1d
from scipy.special import ndtr, ndtri

from .standardisation import Standardisation

__all__ = ["EnergyDependentDensity"]

FloatArray = npt.NDArray[np.float64]

_LIMIT = 8.0
_GRID = np.linspace(-_LIMIT, _LIMIT, 641)
_STEP = _GRID[1] - _GRID[0]
_NOTHING = 1e-200  # instead of 0, whose logarithm does not exist


@dataclass(frozen=True, eq=False)
class EnergyDependentDensity:
    """Density of k variables as a function of the energy, for one kind of particle.

    Parameters
    ----------
    standardisation : Standardisation
        Mean and spread of each variable.
    densities : array, shape (k, 641)
        Density of ``asinh u`` at equal steps from -8 to 8, linear between them.
    correlation : array, shape (k, k)
        Correlation matrix of the normal scores.
    complete : float
        Probability that all variables are defined.
    elsewhere : float
        Probability of an event that is like none of the sample.
    """

    standardisation: Standardisation
    densities: FloatArray
    correlation: FloatArray
    complete: float
    elsewhere: float

    @classmethod
    def fit(cls, values: npt.ArrayLike, energy: npt.ArrayLike) -> EnergyDependentDensity:
        """Estimate it from events.

        Parameters
        ----------
        values : array_like, shape (n, k)
            The variables; NaN where one is not defined.
        energy : array_like, shape (n,)
            Reconstructed energies, GeV.

        Raises
        ------
        ValueError
            If no event has a positive energy.
        """
        v = np.asarray(values, dtype=float)
        standardisation = Standardisation.fit(v, energy)
        compressed = _compress(standardisation(v, energy))
        densities = np.stack([_kernel_density(column[np.isfinite(column)]) for column in compressed.T])
        scores = _normal_scores(compressed, _integral(densities))
        whole = np.isfinite(scores).all(axis=1)
        n, k = int(whole.sum()), v.shape[1]
        correlation = np.eye(k)
        if n > 1:
            centered = scores[whole] - scores[whole].mean(axis=0)
            covariance = centered.T @ centered / n
            scale = np.sqrt(np.diag(covariance)) + 1e-12
            # As if one event more had no correlation, so that the matrix can be inverted whatever the sample.
            correlation = (n * covariance / np.outer(scale, scale) + np.eye(k)) / (n + 1)
            np.fill_diagonal(correlation, 1.0)
        return cls(standardisation, densities, correlation, (n + 0.5) / (len(v) + 1), 1 / (len(v) + 1))

    def log_density(self, values: npt.ArrayLike, energy: npt.ArrayLike, even: FloatArray | None = None) -> FloatArray:
        """Logarithm of the density, shape (n,), finite for any values.

        Parameters
        ----------
        values : array_like, shape (n, k)
            The variables; those that are not defined (NaN) are left out, and the probability of that counts.
        energy : array_like, shape (n,)
            Reconstructed energies, GeV.
        even : array, shape (n,), optional
            Logarithm of the density of events like none of the sample; `log_even_density` unless told.
        """
        v = np.asarray(values, dtype=float)
        defined = ~np.isnan(v)
        compressed, single = self._compressed(v, energy)
        for k, column in enumerate(compressed.T):
            single[:, k] += np.log(np.interp(column, _GRID, self.densities[k]))
        alike = np.where(defined, single, 0.0).sum(axis=1)
        scores = _normal_scores(compressed, _integral(self.densities))
        for rows, columns in _patterns(defined):
            if len(columns):
                alike[rows] += self._log_copula(scores[np.ix_(rows, columns)], columns)
        unlike = self.log_even_density(v, energy) if even is None else even
        whole = np.where(defined.all(axis=1), self.complete, 1 - self.complete)
        return np.logaddexp(alike + np.log1p(-self.elsewhere), unlike + np.log(self.elsewhere)) + np.log(whole)

    def log_even_density(self, values: npt.ArrayLike, energy: npt.ArrayLike) -> FloatArray:
        """Logarithm of the density that is even in ``asinh u`` of each variable that is defined, shape (n,)."""
        _, jacobian = self._compressed(np.asarray(values, dtype=float), energy)
        return np.where(np.isnan(values), 0.0, jacobian - np.log(2 * _LIMIT)).sum(axis=1)

    def _compressed(self, values: FloatArray, energy: npt.ArrayLike) -> tuple[FloatArray, FloatArray]:
        """Return ``asinh u`` of the variables, and the logarithm of its derivative."""
        compressed = _compress(self.standardisation(values, energy))
        _, spread = self.standardisation.mean_and_spread(energy)
        return compressed, -np.log(np.cosh(compressed) * spread)

    def _log_copula(self, scores: FloatArray, columns: npt.NDArray[np.intp]) -> FloatArray:
        part = self.correlation[np.ix_(columns, columns)]
        quadratic = np.einsum("ni,ij,nj->n", scores, np.linalg.inv(part) - np.eye(len(columns)), scores, optimize=True)
        return -0.5 * (np.linalg.slogdet(part).logabsdet + quadratic)

    def sample(self, energy: npt.ArrayLike, generator: np.random.Generator) -> FloatArray:
        """Draw the variables of an event like those of the sample at each energy in GeV, shape (n, k)."""
        e = np.atleast_1d(np.asarray(energy, dtype=float))
        scores = generator.standard_normal((len(e), len(self.correlation))) @ np.linalg.cholesky(self.correlation).T
        pairs = zip(ndtr(scores).T, _integral(self.densities), strict=True)
        compressed = np.stack([np.interp(column, cumulative, _GRID) for column, cumulative in pairs], axis=1)
        mean, spread = self.standardisation.mean_and_spread(e)
        return mean + spread * np.sinh(compressed)

    def to_arrays(self) -> dict[str, FloatArray]:
        """All numbers by name."""
        return {
            **{f"standardisation.{name}": values for name, values in self.standardisation.to_arrays().items()},
            "densities": self.densities,
            "correlation": self.correlation,
            "complete": np.array(self.complete),
            "elsewhere": np.array(self.elsewhere),
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, FloatArray]) -> EnergyDependentDensity:
        """Make it from the numbers that `to_arrays` gave."""
        prefix = "standardisation."
        own = {name.removeprefix(prefix): values for name, values in arrays.items() if name.startswith(prefix)}
        shape = arrays["densities"], arrays["correlation"]
        return cls(Standardisation.from_arrays(own), *shape, float(arrays["complete"]), float(arrays["elsewhere"]))


def _compress(u: FloatArray) -> FloatArray:
    return np.clip(np.arcsinh(u), -_LIMIT, _LIMIT)


def _kernel_density(sample: FloatArray) -> FloatArray:
    """Density on the grid, with a normal kernel of Silverman's width (Density Estimation (1986), eq. 3.31)."""
    n = len(sample)
    if not n:
        return np.full(len(_GRID), 1 / (2 * _LIMIT))
    quartiles = np.subtract(*np.quantile(sample, [0.75, 0.25])) / 1.349
    width = 0.9 * min(sample.std(), quartiles or np.inf) * n**-0.2
    counts = np.histogram(sample, np.append(_GRID - _STEP / 2, _LIMIT + _STEP / 2))[0].astype(float)
    smooth = gaussian_filter1d(counts, max(width / _STEP, 1.0), mode="nearest", truncate=6.0)
    return np.maximum(smooth / np.trapezoid(smooth, dx=_STEP), _NOTHING)


def _integral(densities: FloatArray) -> FloatArray:
    """Cumulative distributions on the grid, from 0 to 1."""
    steps = (densities[:, 1:] + densities[:, :-1]) * _STEP / 2
    cumulative = np.hstack([np.zeros((len(densities), 1)), np.cumsum(steps, axis=1)])
    return cumulative / cumulative[:, -1:]


def _normal_scores(compressed: FloatArray, cumulative: FloatArray) -> FloatArray:
    """Turn variables into normal scores z, at most 8 in size; NaN stays NaN."""
    scores = np.empty_like(compressed)
    for k, column in enumerate(compressed.T):
        scores[:, k] = ndtri(np.clip(np.interp(column, _GRID, cumulative[k]), 1e-15, 1 - 1e-15))
    return scores


def _patterns(defined: npt.NDArray[np.bool_]) -> Iterator[tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]]:
    """Events that have the same variables defined, together: their rows, and the variables."""
    patterns, number = np.unique(defined, axis=0, return_inverse=True)
    for index, pattern in enumerate(patterns):
        yield np.flatnonzero(number.ravel() == index), np.flatnonzero(pattern)
