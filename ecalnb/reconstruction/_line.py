"""Straight lines through the positions that the layers of a view measure."""

from __future__ import annotations

import math

import numpy as np

from .._compiled import jit

__all__ = ["fit_lines", "line_covariance", "weighted_line"]


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


@jit
def line_covariance(layers, depths, variances, radiation_depths, correlation, length, result):  # type: ignore[no-untyped-def]
    """Variances and covariance of `weighted_line` where neighbouring layers are correlated.

    Two layers at a distance d (radiation lengths) have the correlation ``correlation exp(-d / length)``: the particles
    of one go on into the next. The weights stay those of independent layers, the covariance is that of the estimate.

    Parameters
    ----------
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
    result[:] = 0.0
    for a in layers:
        if not variances[a] < np.inf:
            continue
        root_a = 1 / math.sqrt(variances[a])
        intercept_a, slope_a = (szz - sz * depths[a]) / spread * root_a, (s * depths[a] - sz) / spread * root_a
        for b in layers:
            if not variances[b] < np.inf:
                continue
            root_b = 1 / math.sqrt(variances[b])
            intercept_b, slope_b = (szz - sz * depths[b]) / spread * root_b, (s * depths[b] - sz) / spread * root_b
            common = 1.0
            if a != b:
                common = correlation * math.exp(-abs(radiation_depths[a] - radiation_depths[b]) / length)
            result[0] += intercept_a * intercept_b * common
            result[1] += slope_a * slope_b * common
            result[2] += intercept_a * slope_b * common


@jit
def fit_lines(layers, depths, values, variances, radiation_depths, correlation, length, lines, covariances, used):  # type: ignore[no-untyped-def]
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
            line_covariance(
                layers, depths[event], variances[event], radiation_depths, correlation, length, covariances[event]
            )
