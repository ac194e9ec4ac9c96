"""Energy profile of an electromagnetic shower along its axis."""

from __future__ import annotations

import math

import numpy as np

from .._compiled import jit

__all__ = ["draw_profile"]

N_SHAPE = 4
LARGEST_SIGMA = 1.2
EARLY_END = 4.5
EARLY_WIDTH = 2.0


@jit
def _quantile(score, row, nodes):  # type: ignore[no-untyped-def]
    """Value of a marginal distribution at a normal score; constant beyond the outermost nodes."""
    position = (score - nodes[0]) / (nodes[1] - nodes[0])
    node = min(max(int(math.floor(position)), 0), len(nodes) - 2)
    fraction = min(max(position - node, 0.0), 1.0)
    return row[node] * (1 - fraction) + row[node + 1] * fraction


@jit
def _density(depth, slope, b):  # type: ignore[no-untyped-def]
    """Gamma density without its norm."""
    return math.exp(slope * math.log(depth) - b * depth) if depth > 0 else 0.0


@jit
def _draw_scores(upper, p, generator):  # type: ignore[no-untyped-def]
    """Correlated normal scores: four of the shape, then one a layer from the start of the shower."""
    n_scores = p.cholesky.shape[1]
    normal = np.empty(n_scores)
    scores = np.zeros(n_scores)
    for i in range(n_scores):
        normal[i] = generator.standard_normal()
        for j in range(i + 1):
            scores[i] += ((1 - upper) * p.cholesky[0, i, j] + upper * p.cholesky[1, i, j]) * normal[j]
    return scores


@jit
def _layer_factor(depth, score, scaled, clipped, p):  # type: ignore[no-untyped-def]
    """Energy of a layer over that of the event's gamma profile."""
    n_knots = len(p.knots)
    position = (depth - p.knots[0]) / (p.knots[1] - p.knots[0])
    knot = min(max(int(position), 0), n_knots - 2)
    above = min(max(position - knot, 0.0), 1.0)
    below = 1 - above
    value = below * _quantile(score, p.quantiles[knot], p.nodes) + above * _quantile(
        score, p.quantiles[knot + 1], p.nodes
    )
    lower, upper = p.correction[knot], p.correction[knot + 1]
    shift = 0.0
    for power in range(2, -1, -1):
        shift = shift * clipped + below * lower[power] + above * upper[power]
    lower, upper = p.log_sigma[knot], p.log_sigma[knot + 1]
    sigma = math.exp(below * lower[0] + above * upper[0] + (below * lower[1] + above * upper[1]) * scaled)
    return math.exp(shift + min(sigma, LARGEST_SIGMA) * value)


@jit
def draw_profile(energy, start, secant, n_layers, p, generator, layer_energy, layer_depth):  # type: ignore[no-untyped-def]
    """Draw the energy that a shower leaves in each layer.

    A gamma profile (Longo and Sestili, NIM 128 (1975) 283) whose norm, depth of the maximum and exponent fluctuate from
    shower to shower (as in Grindhammer and Peters, hep-ex/0001020), times a factor a layer: the entry, the tail and the
    sampling. All of them go jointly through a Gaussian copula with the marginal distributions seen in Geant4. The sum
    over the layers is that of the gamma profile up to a small fluctuation, because the sampling fluctuation of the
    total is already in its norm.

    Parameters
    ----------
    energy : float
        GeV.
    start : float
        Depth at which the shower starts, mm below the front face.
    secant : float
        Path along the axis over depth.
    n_layers : int
        Layers of the calorimeter.
    p : ElectromagneticParameters
        Parameters.
    generator : numpy.random.Generator
        Random numbers.
    layer_energy, layer_depth : array, shape (n_layers,)
        Results: GeV, and shower depth of the middle of the crossed part in radiation lengths. Zero before the start.

    Returns
    -------
    float
        Centre of gravity of the profile in radiation lengths from the start; it sets the shower's age.
    """
    scaled = math.log(energy / p.reference_energy)
    clipped = min(max(scaled, p.energy_clip[0]), p.energy_clip[1])
    scores = _draw_scores((clipped - p.energy_clip[0]) / (p.energy_clip[1] - p.energy_clip[0]), p, generator)
    drawn = np.empty(N_SHAPE)
    for i in range(N_SHAPE):
        sigma = math.exp(p.shape_log_sigma[i, 0] + p.shape_log_sigma[i, 1] * clipped)
        drawn[i] = math.exp(sigma * _quantile(scores[i], p.shape_quantiles[i], p.nodes))
    mean_peak = max(p.shape_median[1, 0] + p.shape_median[1, 1] * scaled, 0.5)
    mean_slope = max(p.shape_median[2, 0] + p.shape_median[2, 1] * scaled, 1.2) - 1
    norm = drawn[0] * (p.shape_median[0, 0] + p.shape_median[0, 1] * clipped)
    peak = drawn[1] * mean_peak
    exponent = max(drawn[2] * (mean_slope + 1), 1.2)
    slope = exponent - 1
    b = slope / peak
    constant = energy * norm * math.exp(exponent * math.log(b) - math.lgamma(exponent))
    mean_b = mean_slope / mean_peak
    mean_constant = energy * (p.shape_median[0, 0] + p.shape_median[0, 1] * clipped)
    mean_constant *= math.exp((mean_slope + 1) * math.log(mean_b) - math.lgamma(mean_slope + 1))

    layer_energy[:] = 0.0
    layer_depth[:] = 0.0
    layer = int(start / p.thickness)
    n_drawn = 0
    top, gamma_top = 0.0, 0.0
    gamma_sum, total, moment = 0.0, 0.0, 0.0
    # Layers behind the calorimeter are drawn too for a shower that starts late: the sum over a whole depth is known.
    while n_drawn < n_layers:
        bottom = ((layer + 1) * p.thickness - start) * secant / p.radiation_length
        middle = 0.5 * (top + bottom)
        gamma_bottom = _density(bottom, slope, b)
        gamma = gamma_top + 4 * _density(middle, slope, b) + gamma_bottom
        gamma *= constant * (bottom - top) / 6
        score = scores[N_SHAPE + n_drawn] if N_SHAPE + n_drawn < len(scores) else generator.standard_normal()
        deposit = gamma * _layer_factor(middle, score, scaled, clipped, p)
        early = min(max((EARLY_END - middle) / EARLY_WIDTH, 0.0), 1.0)
        if early > 0:
            mean = _density(top, mean_slope, mean_b) + 4 * _density(middle, mean_slope, mean_b) + _density(bottom, mean_slope, mean_b)
            mean *= mean_constant * (bottom - top) / 6
            deposit *= (mean / gamma) ** early
        deposit = max(deposit, p.entry_density * (bottom - top)) if n_drawn == 0 else deposit
        gamma_sum += gamma
        total += deposit
        moment += deposit * middle
        if layer < n_layers:
            layer_energy[layer] = deposit
            layer_depth[layer] = middle
        top, gamma_top = bottom, gamma_bottom
        layer += 1
        n_drawn += 1
    layer_energy *= gamma_sum / total * drawn[3] * (p.shape_median[3, 0] + p.shape_median[3, 1] * clipped)
    return moment / total
