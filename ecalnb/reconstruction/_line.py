"""Straight lines through the positions that the layers of a view measure."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from .._compiled import jit

__all__ = ["fit_lines", "layer_correlations", "line_covariance", "weighted_line"]

FloatArray = npt.NDArray[np.float64]


@jit
def weighted_line(layers, depths, values, variances):  # type: ignore[no-untyped-def]
    """Intercept and slope of the line through values at depths, and how many count; NaN for fewer than two of them.

    A value counts with the inverse of its variance; one whose variance is infinite does not.
    """
    s = sz = szz = sv = szv = 0.0
    used = 0
    for layer in layers:
        if variances[layer] < np.inf:
            weight = 1 / variances[layer]
            z = depths[layer]
            used += 1
            s += weight
            sz += weight * z
            szz += weight * z * z
            sv += weight * values[layer]
            szv += weight * z * values[layer]
    spread = s * szz - sz * sz
    if used < 2 or not spread > 1e-12 * s * szz:
        return np.nan, np.nan, used
    slope = (s * szv - sz * sv) / spread
    return (sv - slope * sz) / s, slope, used


def layer_correlations(radiation_depths: FloatArray, correlation: float, length: float) -> FloatArray:
    """Correlation of the layers of a view: ``correlation exp(-d / length)`` at a distance d in radiation lengths.

    The particles of one layer go on into the next.

    Returns
    -------
    array, shape (n_layers, n_layers)
        1 on the diagonal.
    """
    distance = abs(radiation_depths[:, None] - radiation_depths)
    return np.where(distance > 0, correlation * np.exp(-distance / length), 1.0)


@jit
def line_covariance(layers, depths, variances, correlations, result):  # type: ignore[no-untyped-def]
    """Variances and covariance of `weighted_line` where layers are correlated.

    The weights stay those of independent layers; the covariance is that of the estimate.

    Parameters
    ----------
    correlations : array, shape (n_layers, n_layers)
        Of `layer_correlations`.
    result : array, shape (3,)
        Variance of the intercept, of the slope, and their covariance; written.
    """
    s = sz = szz = 0.0
    for layer in layers:
        if variances[layer] < np.inf:
            weight = 1 / variances[layer]
            s += weight
            sz += weight * depths[layer]
            szz += weight * depths[layer] ** 2
    spread = s * szz - sz * sz
    intercepts, slopes = np.zeros(len(layers)), np.zeros(len(layers))
    for i in range(len(layers)):
        layer = layers[i]
        if variances[layer] < np.inf:
            root = 1 / (math.sqrt(variances[layer]) * spread)
            intercepts[i] = (szz - sz * depths[layer]) * root
            slopes[i] = (s * depths[layer] - sz) * root
    result[:] = 0.0
    for i in range(len(layers)):
        for j in range(len(layers)):
            common = correlations[layers[i], layers[j]]
            result[0] += intercepts[i] * intercepts[j] * common
            result[1] += slopes[i] * slopes[j] * common
            result[2] += intercepts[i] * slopes[j] * common


@jit
def fit_lines(layers, depths, values, variances, correlations, lines, covariances, used):  # type: ignore[no-untyped-def]
    """`weighted_line` and `line_covariance` of each event.

    Parameters
    ----------
    depths, values, variances : array, shape (n, n_layers)
        mm, mm, mm^2.
    lines : array, shape (n, 2)
        Intercept and slope; written.
    covariances : array, shape (n, 3)
        Written.
    used : array, shape (n,)
        Layers that count; written.
    """
    for event in range(len(values)):
        intercept, slope, count = weighted_line(layers, depths[event], values[event], variances[event])
        lines[event, 0], lines[event, 1], used[event] = intercept, slope, count
        if np.isnan(slope):
            covariances[event] = np.nan
        else:
            line_covariance(layers, depths[event], variances[event], correlations, covariances[event])
