"""Numbers of a sample with their statistical errors, and the difference of two."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.stats import chi2 as chi2_distribution
from scipy.stats.mstats import mjci

from ..intervals import clopper_pearson
from ..metrics import quantile_resolution

__all__ = ["Estimate", "difference", "fraction", "hotelling", "mean", "quantile", "width"]

FloatArray = npt.NDArray[np.float64]

Estimate = tuple[float, float]
"""A number and its error."""


def mean(values: FloatArray) -> Estimate:
    """Mean and its error."""
    return float(values.mean()), float(values.std(ddof=1) / np.sqrt(len(values)))


def fraction(values: npt.NDArray[Any]) -> Estimate:
    """Fraction that is true, with half of its 68 % interval (Clopper and Pearson)."""
    passed, total = int(values.sum()), len(values)
    low, high = clopper_pearson(passed, total)
    return passed / total, float(high - low) / 2


def width(values: FloatArray) -> Estimate:
    """Half of the central 68 % over the median."""
    result = quantile_resolution(values)
    return result.half_width / result.median, result.error / result.median


def quantile(values: FloatArray, q: float) -> Estimate:
    """Quantile and its error (Maritz and Jarrett, J. Am. Stat. Assoc. 73 (1978) 194)."""
    return float(np.quantile(values, q)), float(mjci(values, [q])[0])


def difference(reference: Estimate, candidate: Estimate) -> dict[str, float]:
    """Two numbers and their difference, with errors, and its ``pull``: the difference over its error."""
    error = float(np.hypot(reference[1], candidate[1]))
    delta = candidate[0] - reference[0]
    return {
        "reference": reference[0], "reference_error": reference[1], "candidate": candidate[0],
        "candidate_error": candidate[1], "difference": delta, "difference_error": error,
        "pull": delta / error if error > 0 else np.nan,
    }  # fmt: skip


def hotelling(reference: FloatArray, candidate: FloatArray) -> dict[str, float]:
    """Hotelling's test of two mean vectors, in the limit of many events, where it is a chi2."""
    covariance = np.cov(reference, rowvar=False) / len(reference) + np.cov(candidate, rowvar=False) / len(candidate)
    delta = candidate.mean(axis=0) - reference.mean(axis=0)
    # Shares that add up to one make the matrix singular: that direction is left out.
    chi2 = float(delta @ np.linalg.pinv(covariance, rcond=1e-10, hermitian=True) @ delta)
    ndf = int(np.linalg.matrix_rank(covariance, tol=1e-10 * np.linalg.norm(covariance, 2), hermitian=True))
    return {"chi2": chi2, "ndf": ndf, "p_value": float(chi2_distribution.sf(chi2, ndf))}
