"""Fit of the longitudinal half of the fast electromagnetic simulation to Geant4 electrons."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.optimize import least_squares
from scipy.special import gammainc, ndtr

from .longitudinal import EARLY_END, EARLY_WIDTH, LATE_RATE, TAIL_LAYERS

__all__ = ["fit_longitudinal"]

FloatArray = npt.NDArray[np.float64]

NODES = np.linspace(-3, 3, 13)
"""Normal scores at which the quantiles of the marginal distributions are kept."""

CRITICAL_ENERGY = 0.0076
"""GeV, of the composite; only the start of the search."""


def fit_longitudinal(
    energy: FloatArray, layers: FloatArray, width: FloatArray, spacing: float, reference: float
) -> dict[str, Any]:
    """Fit shape, correlations and fluctuations of the energy profile.

    Parameters
    ----------
    energy : array, shape (n,)
        Energy of each electron, GeV.
    layers : array, shape (n, n_layers)
        Energy in each layer, GeV.
    width : array, shape (n,)
        Path of the axis in a layer, radiation lengths.
    spacing : float
        The same for a vertical track: the distance of the knots.
    reference : float
        Energy, GeV, whose logarithm is the zero of the energy scale.

    Returns
    -------
    dict
        Values of the longitudinal part of the parameter file.
    """
    usual = ~_late(energy, layers, width)
    energy, layers, width = energy[usual], layers[usual], width[usual]
    scaled = np.log(energy / reference)
    borders = np.arange(layers.shape[1] + 1) * width[:, None]
    middles = (borders[:, 1:] + borders[:, :-1]) / 2
    sums = layers.sum(axis=1, keepdims=True)

    # Shape of each shower, relative to medians that are straight in the logarithm of the energy.
    shapes = _fit_showers(energy, layers, borders)
    medians = np.array([_median_line(scaled, np.exp(value)) for value in shapes.T])
    typical = np.log(medians[:, :1] + medians[:, 1:] * scaled).T
    residuals = shapes - typical
    log_sigma = np.array([_log_sigma(value, np.stack([np.ones_like(scaled), scaled], 1)) for value in residuals.T])
    residuals = residuals / np.exp(log_sigma[:, 0] + log_sigma[:, 1] * scaled[:, None])

    # Conservation of energy: the part in the layers and the tail behind, up to the sampling of the total.
    tail = (layers[:, -TAIL_LAYERS:] / width[:, None]).mean(axis=1)
    weight = 1 / np.sqrt(0.005 / energy + 2e-4)
    design = np.stack([sums[:, 0], tail], 1) / energy[:, None]
    balance = np.linalg.lstsq(design * weight[:, None], weight)[0]
    sampling = design @ balance - 1
    noise = np.stack([1 / energy, np.ones_like(energy)], 1)
    variance = np.linalg.lstsq(noise * weight[:, None] ** 2, sampling**2 * weight**2)[0]
    sampling = sampling / np.sqrt(noise @ variance)
    whole = np.column_stack([residuals, sampling])
    shape_quantiles = np.array([_quantiles(value, np.ones(len(value))) for value in whole.T])
    scores = np.array([_scores(value, row) for value, row in zip(whole.T, shape_quantiles, strict=True)]).T

    # Layers relative to the shower's gamma profile, the first ones to the mean profile.
    early = np.clip((EARLY_END - middles) / EARLY_WIDTH, 0, 1)
    own, mean = (_gamma_fractions(borders, value) for value in (shapes, typical))
    log_ratio = np.log(np.maximum(layers, 1e-3) / sums) - early * np.log(mean) - (1 - early) * np.log(own)
    log_ratio = np.clip(log_ratio, -4, 8)
    knots = (np.arange(layers.shape[1] + 1) + 0.5) * spacing
    near = hat_weights(middles.ravel(), knots)
    powers = np.repeat(scaled[:, None] ** np.arange(3), layers.shape[1], axis=0)
    design = (near[:, :, None] * powers[:, None, :]).reshape(len(near), -1)
    correction = np.linalg.solve(design.T @ design + 0.01 * np.eye(design.shape[1]), design.T @ log_ratio.ravel())
    rest = log_ratio.ravel() - design @ correction
    design = (near[:, :, None] * powers[:, None, :2]).reshape(len(near), -1)
    layer_log_sigma = _log_sigma(rest, design)
    rest = rest / np.exp(design @ layer_log_sigma)
    layer_quantiles = _layer_quantiles(rest, near, knots)
    layer_scores = _scores_each(rest, near @ layer_quantiles).reshape(layers.shape)

    return {
        "shape_median": medians,
        "shape_log_sigma": log_sigma,
        "shape_quantiles": shape_quantiles,
        "knots": knots,
        "correction": correction.reshape(len(knots), 3),
        "log_sigma": layer_log_sigma.reshape(len(knots), 2),
        "nodes": NODES,
        "quantiles": layer_quantiles,
        "cholesky": _correlations(np.column_stack([scores, layer_scores]), scaled),
        "contained": balance[0],
        "tail_length": balance[1],
        "total_variance": variance,
    }


def _late(energy: FloatArray, layers: FloatArray, width: FloatArray) -> npt.NDArray[np.bool_]:
    """Showers that an energetic photon carries on late: those that have least about the usual maximum.

    Half as many as have such a photon, since the others cannot be told from usual ones.
    """
    depth = (np.arange(layers.shape[1]) + 0.5) * width[:, None]
    usual = np.log(energy / CRITICAL_ENERGY)[:, None]
    near = abs(depth - usual + 0.8) < 2.5
    part = np.log((layers * near).sum(axis=1) / near.sum(axis=1) / energy * width)
    part -= np.polyval(np.polyfit(np.log(energy), part, 2), np.log(energy))
    late: npt.NDArray[np.bool_] = part < np.quantile(part, LATE_RATE / 2)
    return late


def hat_weights(values: FloatArray, nodes: FloatArray) -> FloatArray:
    """Weights of linear interpolation between nodes, constant outside them; shape (values, nodes)."""
    values = np.clip(values, nodes[0], nodes[-1])
    node = np.clip(np.searchsorted(nodes, values, side="right") - 1, 0, len(nodes) - 2)
    above = (values - nodes[node]) / (nodes[node + 1] - nodes[node])
    weights = np.zeros((len(values), len(nodes)))
    rows = np.arange(len(values))
    weights[rows, node] = 1 - above
    weights[rows, node + 1] = above
    return weights


def _gamma_fractions(borders: FloatArray, shape: FloatArray) -> FloatArray:
    """Parts between borders of gamma profiles with log maximum and log standard deviation ``shape``, normalised."""
    ratio = np.exp(shape[:, :1] - shape[:, 1:])
    exponent = ((ratio + np.sqrt(ratio**2 + 4)) / 2) ** 2
    parts = np.diff(gammainc(exponent, (exponent - 1) / np.exp(shape[:, :1]) * borders), axis=1)
    parts = np.maximum(parts, 1e-9)
    fractions: FloatArray = parts / parts.sum(axis=1, keepdims=True)
    return fractions


def _fit_showers(energy: FloatArray, layers: FloatArray, borders: FloatArray) -> FloatArray:
    """Log of the depth of the maximum and of the standard deviation of each shower's profile, shape (n, 2).

    The norm is fitted too, held near its mean by the sampling fluctuation: free, it would run away with the tail. The
    first three layers are left out, since they say more about the entry than about the shower.
    """
    result = np.empty((len(energy), 2))
    for i, value in enumerate(energy):
        maximum = np.log(value / CRITICAL_ENERGY) - 0.84
        start = np.array([0.03, np.log(maximum), np.log(1 + 0.52 * maximum)])
        loose = np.array([2 * np.sqrt(0.0045 / value + 1e-4), 0.6, 0.8])

        def parts(p: FloatArray, border: FloatArray = borders[i]) -> FloatArray:
            exponent = np.exp(p[2])
            fractions: FloatArray = np.exp(p[0]) * np.diff(gammainc(exponent, (exponent - 1) / np.exp(p[1]) * border))
            return fractions

        expected = parts(start)
        weight = 1 / np.sqrt(0.01 * expected / value + (0.03 * expected) ** 2 + 2e-4**2)
        weight[:3] = 0
        seen = layers[i] / value

        def pulls(
            p: FloatArray, weight: FloatArray = weight, seen: FloatArray = seen, start: FloatArray = start,
            loose: FloatArray = loose, parts: Any = parts,
        ) -> FloatArray:  # fmt: skip
            return np.concatenate([(parts(p) - seen) * weight, (p - start) / loose])

        best = least_squares(pulls, start, method="lm").x
        exponent = np.exp(best[2])
        result[i] = best[1], best[1] + np.log(np.sqrt(exponent) / (exponent - 1))
    return result


def _median_line(scaled: FloatArray, values: FloatArray) -> FloatArray:
    """Straight line through the medians: intercept and slope."""
    line = np.polyfit(scaled, values, 1)
    for _ in range(20):  # iteratively reweighted least absolute deviations
        distance = abs(values - np.polyval(line, scaled))
        line = np.polyfit(scaled, values, 1, w=1 / np.sqrt(np.maximum(distance, 1e-3 * abs(values))))
    return line[::-1]


def _log_sigma(residuals: FloatArray, design: FloatArray) -> FloatArray:
    """Coefficients of the log of the standard deviation, by a gamma model of the squares with a log link."""
    squares = residuals**2
    coefficients = np.linalg.lstsq(design, np.log(squares + 1e-5))[0]
    ridge = 1e-6 * len(squares) * np.eye(design.shape[1])
    for _ in range(40):
        excess = squares / np.exp(design @ coefficients) - 1
        coefficients += 0.7 * np.linalg.solve(design.T @ design + ridge, design.T @ excess)
    return coefficients / 2


def _quantiles(values: FloatArray, weights: FloatArray) -> FloatArray:
    """Quantiles at the scores `NODES`; the outermost are drawn half-way to a straight continuation."""
    order = np.argsort(values)
    cumulative = np.cumsum(weights[order])
    cumulative = (cumulative - weights[order] / 2) / cumulative[-1]
    result = np.interp(ndtr(NODES), cumulative, values[order])
    for end, inner, next_inner in ((0, 1, 2), (-1, -2, -3)):
        result[end] = (result[end] + 2 * result[inner] - result[next_inner]) / 2
    return np.maximum.accumulate(result + 1e-6 * np.arange(len(result)))


def _layer_quantiles(values: FloatArray, near: FloatArray, knots: FloatArray) -> FloatArray:
    """Quantiles at each knot; beyond the first five, which differ, half of the neighbours' events take part."""
    result = []
    for knot in range(len(knots)):
        weights = near[:, knot].copy()
        for other in (knot - 1, knot + 1):
            if knot > 4 < other < len(knots):
                weights += near[:, other] / 2
        result.append(_quantiles(values, weights))
    return np.array(result)


def _scores(values: FloatArray, quantiles: FloatArray) -> FloatArray:
    """Return the normal scores of values of a marginal distribution."""
    return _scores_each(values, np.broadcast_to(quantiles, (len(values), len(quantiles))))


def _scores_each(values: FloatArray, quantiles: FloatArray) -> FloatArray:
    """Return the normal scores of values, each with the quantiles of its own marginal distribution."""
    node = np.clip((quantiles <= values[:, None]).sum(axis=1) - 1, 0, len(NODES) - 2)
    rows = np.arange(len(values))
    low, high = quantiles[rows, node], quantiles[rows, node + 1]
    inside = np.clip((values - low) / (high - low), -0.5, 1.5)
    scores: FloatArray = NODES[node] + inside * (NODES[1] - NODES[0])
    return scores


def _correlations(scores: FloatArray, scaled: FloatArray) -> FloatArray:
    """Cholesky factors of the correlations at the ends of the energy range."""
    scores = scores / scores.std(axis=0)
    half_range = (scaled.max() - scaled.min()) / 2
    factors = []
    for sign in (-1, 1):
        weights = np.clip(0.5 + sign * (scaled - scaled.mean()) / (2 * half_range), 0, 1)
        matrix = (scores * weights[:, None]).T @ scores / weights.sum()
        matrix /= np.sqrt(np.outer(np.diag(matrix), np.diag(matrix)))
        values, vectors = np.linalg.eigh(matrix)
        matrix = (vectors * np.maximum(values, 1e-3)) @ vectors.T
        factors.append(np.linalg.cholesky(matrix / np.sqrt(np.outer(np.diag(matrix), np.diag(matrix)))))
    return np.array(factors)
