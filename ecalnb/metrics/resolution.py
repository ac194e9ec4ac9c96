"""Energy resolution and bias: in bins of energy, and as a function of energy.

The function is ``sigma(E) / E = a / sqrt(E) (+) b (+) c / E``, terms added in quadrature, E in GeV: sampling
fluctuations, what grows with the energy (leakage, calibration), and noise (Particle Data Group, Review of Particle
Physics, "Particle detectors at accelerators", electromagnetic calorimeters). How the width of one distribution is
measured is in :mod:`ecalnb.metrics.width`.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt
import pandas as pd
from iminuit import Minuit
from iminuit.cost import LeastSquares
from scipy.stats import chi2 as chi2_distribution

from ..intervals import FloatArray
from ._bins import bin_numbers, check_edges
from .scores import check_numbers, check_weights
from .width import FEWEST_FOR_CORE, ONE_SIGMA, gaussian_core, quantile_resolution

__all__ = ["RESOLUTION_COLUMNS", "EnergyResolution", "fit_energy_resolution", "resolution_in_bins"]

logger = logging.getLogger(__name__)

Kind = Literal["core", "central"]

RESOLUTION_COLUMNS = {
    "energy_low": "lower edge of the bin of true energy, GeV",
    "energy_high": "upper edge of the bin of true energy, GeV",
    "energy": "mean true energy of the events of the bin, by weight, GeV",
    "n": "events of the bin with a reconstructed energy",
    "n_undefined": "events of the bin without one (NaN)",
    "bias": "mean of the core, or median, of reconstructed over true energy, minus 1",
    "bias_error": "standard error of the bias",
    "resolution": "sigma of the core, or half-width of the interval, over the mean or median: sigma(E)/E",
    "resolution_error": "standard error of the resolution",
    "fraction": "fraction of the events inside the window or interval, by weight",
    "p_value": "goodness of fit of the core; NaN for intervals",
    "reason": "why there is no resolution; empty where there is one",
}
"""Columns of the table of `resolution_in_bins`, and what they hold."""


def resolution_in_bins(
    true: npt.ArrayLike,
    reconstructed: npt.ArrayLike,
    edges: npt.ArrayLike,
    *,
    weights: npt.ArrayLike | None = None,
    kind: Kind = "core",
    min_count: int = 50,
    n_sigma: float = 2.0,
    seed: int | np.random.Generator = 0,
) -> pd.DataFrame:
    """Bias and resolution of a reconstructed energy in bins of the true one.

    Parameters
    ----------
    true, reconstructed : array_like, shape (n,)
        GeV. An event whose reconstructed energy is NaN is counted as such and left out.
    edges : array_like, shape (bins + 1,)
        Edges of the bins of true energy, GeV, rising. The upper edge belongs to the next bin, and to the last bin
        itself.
    weights : array_like, shape (n,), optional
        Weights of the events.
    kind : {"core", "central"}
        Gaussian core, or half-width of the central 68.27 % interval.
    min_count : int
        Fewest events for which a bin gets a resolution. Below, it has its counts and NaN, and ``reason`` says so.
    n_sigma : float
        Window of the Gaussian core.
    seed : int or numpy.random.Generator
        Of the bootstrap errors of intervals.

    Returns
    -------
    pandas.DataFrame
        A row for each bin, with the columns of `RESOLUTION_COLUMNS`. Events outside the edges are counted in
        ``attrs["n_outside"]``, and logged.

    Raises
    ------
    ValueError
        If the arrays differ in length, a true energy is not positive, or edges do not rise.
    """
    if kind not in get_args(Kind):
        raise ValueError(f"kind is {kind!r}; expected one of {', '.join(map(repr, get_args(Kind)))}")
    if min_count < FEWEST_FOR_CORE:
        raise ValueError(f"min_count is {min_count!r}; expected at least {FEWEST_FOR_CORE} events a bin")
    energy = check_numbers(true, "true energies").astype(float)
    if not (energy > 0).all():
        raise ValueError(f"a true energy is {energy.min():g} GeV; expected positive ones")
    estimate = np.asarray(reconstructed, dtype=float)
    if estimate.shape != energy.shape:
        raise ValueError(
            f"reconstructed energies have shape {estimate.shape}; expected {energy.shape}, as the true ones"
        )
    edges = check_edges(edges)
    own = None if weights is None else check_weights(weights, "events", len(energy))
    bins, known = bin_numbers(energy, edges), ~np.isnan(estimate)
    if own is not None:
        known &= own > 0
    generator = np.random.default_rng(seed)
    rows = []
    for i in range(len(edges) - 1):
        inside = (bins == i) & known
        row: dict[str, object] = {
            **dict.fromkeys(RESOLUTION_COLUMNS, np.nan),
            "energy_low": edges[i],
            "energy_high": edges[i + 1],
            "energy": np.average(energy[inside], weights=_some(own, inside)) if inside.any() else np.nan,
            "n": np.count_nonzero(inside),
            "n_undefined": np.count_nonzero((bins == i) & np.isnan(estimate)),
            "reason": "",
        }
        if np.count_nonzero(inside) < min_count:
            row["reason"] = f"{np.count_nonzero(inside)} events, fewer than {min_count}"
        else:
            try:
                ratio = estimate[inside] / energy[inside]
                row |= _bias_and_resolution(ratio, _some(own, inside), kind, n_sigma, generator)
            except ValueError as error:
                row["reason"] = str(error)
        if row["reason"]:
            logger.info("no resolution from %g to %g GeV: %s", edges[i], edges[i + 1], row["reason"])
        rows.append(row)
    table = pd.DataFrame(rows)
    table.attrs["n_outside"] = outside = int(np.count_nonzero(bins < 0))
    if outside:
        logger.info("%d of %d events are outside the bins", outside, len(energy))
    return table


def _some(weights: FloatArray | None, chosen: npt.NDArray[np.bool_]) -> FloatArray | None:
    return None if weights is None else weights[chosen]


def _bias_and_resolution(
    ratio: FloatArray, weights: FloatArray | None, kind: Kind, n_sigma: float, generator: np.random.Generator
) -> dict[str, object]:
    if kind == "core":
        core = gaussian_core(ratio, weights, n_sigma=n_sigma)
        centre, centre_error, width, width_error = core.mean, core.mean_error, core.sigma, core.sigma_error
        more = {"fraction": core.fraction, "p_value": core.p_value}
    else:
        quantiles = quantile_resolution(ratio, weights, seed=generator)
        centre, centre_error = quantiles.median, quantiles.median_error
        width, width_error = quantiles.half_width, quantiles.error
        more = {"fraction": ONE_SIGMA}
    return {
        "bias": centre - 1,
        "bias_error": centre_error,
        "resolution": width / centre,
        # Centre and width are nearly uncorrelated, and the error of the centre is small beside it.
        "resolution_error": float(np.hypot(width_error, width / centre * centre_error)) / centre,
        **more,
    }


@dataclass(frozen=True)
class EnergyResolution:
    """Energy resolution as a function of energy: ``sigma(E) / E = a / sqrt(E) (+) b (+) c / E``.

    Parameters
    ----------
    stochastic, constant, noise : float
        a in sqrt(GeV), b, and c in GeV.
    covariance : array, shape (3, 3)
        In this order; rows of a term that was fixed are 0.
    chi2 : float
        Of the fit.
    ndf : int
        Its degrees of freedom.
    at_limit : tuple of str
        Terms that the fit left at 0: their errors say little, and the others' are too small or too large.
    """

    stochastic: float
    constant: float
    noise: float
    covariance: FloatArray
    chi2: float
    ndf: int
    at_limit: tuple[str, ...]

    @property
    def errors(self) -> dict[str, float]:
        """Standard error of each term."""
        return dict(zip(_TERMS, np.sqrt(np.diag(self.covariance)).tolist(), strict=True))

    @property
    def p_value(self) -> float:
        """Probability of a chi2 at least as large; NaN without degrees of freedom."""
        return float(chi2_distribution.sf(self.chi2, self.ndf)) if self.ndf > 0 else float("nan")

    def __call__(self, energy: npt.ArrayLike) -> FloatArray:
        """Resolution sigma(E) / E at energies in GeV."""
        return _resolution(np.asarray(energy, dtype=float), self.stochastic, self.constant, self.noise)


_TERMS = ("stochastic", "constant", "noise")


def _resolution(energy: FloatArray, stochastic: float, constant: float, noise: float) -> FloatArray:
    return np.sqrt(stochastic**2 / energy + constant**2 + (noise / energy) ** 2)


def fit_energy_resolution(
    energy: npt.ArrayLike, resolution: npt.ArrayLike, error: npt.ArrayLike, *, noise: bool = False
) -> EnergyResolution:
    """Fit ``a / sqrt(E) (+) b (+) c / E`` to resolutions at several energies, by least squares.

    Parameters
    ----------
    energy, resolution, error : array_like, shape (n,)
        GeV; sigma(E)/E; and its standard error. Rows with NaN, such as bins of too few events, are left out.
    noise : bool
        Whether there is a noise term c. Without it, c is 0.

    Returns
    -------
    EnergyResolution

    Raises
    ------
    ValueError
        If there are fewer energies than terms, or an energy or error is not positive, or the fit does not converge.
    """
    columns = np.broadcast_arrays(*(np.atleast_1d(np.asarray(v, dtype=float)) for v in (energy, resolution, error)))
    x, y, dy = (column[np.isfinite(columns).all(axis=0)] for column in columns)
    terms = 3 if noise else 2
    if len(x) < terms:
        raise ValueError(
            f"there are {len(x)} energies with a resolution; expected at least {terms} to fit {terms} terms"
        )
    for name, values in (("energy", x), ("resolution", y), ("error", dy)):
        if (values <= 0).any():
            raise ValueError(
                f"{name} {values.min():g} is not positive; expected energies in GeV, sigma(E)/E, its error"
            )
    # Where each term is the only one, at the end of the range where it matters most.
    start = {"stochastic": (y * np.sqrt(x)).min(), "constant": y.min(), "noise": (y * x).min() if noise else 0.0}
    minuit = Minuit(LeastSquares(x, y, dy, _resolution), **start)
    minuit.limits = (0, None)
    minuit.fixed["noise"] = not noise
    minuit.migrad()
    minuit.hesse()
    if not minuit.valid or minuit.covariance is None:
        raise ValueError(f"the fit of the resolution at {len(x)} energies does not converge: chi2 {minuit.fval:.3g}")
    values = minuit.values.to_dict()
    # A term that changes no resolution by a tenth of its error is one that is not there.
    effect = {
        name: np.max(abs(_resolution(x, **values) - _resolution(x, **{**values, name: 0.0})) / dy) for name in values
    }
    at_limit = tuple(name for name in values if not minuit.fixed[name] and effect[name] < 0.1)
    return EnergyResolution(
        **values,
        covariance=np.array(minuit.covariance),
        chi2=float(minuit.fval),
        ndf=len(x) - terms,
        at_limit=at_limit,
    )
