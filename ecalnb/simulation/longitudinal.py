"""Energy profile of an electromagnetic shower along its axis."""

from __future__ import annotations

import math

import numpy as np

from .._compiled import jit

__all__ = ["draw_profile"]

N_SHAPE = 3
LARGEST_SIGMA = 1.2
EARLY_END = 6.0
EARLY_WIDTH = 5.0
SHALLOWEST = 0.5
CRITICAL_ENERGY = 0.0076
SMALLEST_LOG = 2.0
TAIL_LAYERS = 3

LATE_RATE, LATE_PART, LATE_PART_MEAN, LATE_DEPTH = 0.07, 0.35, 0.14, 4.0
"""Showers with a photon that carries more than a part of the energy deeper than some radiation lengths: how many, that
part, its mean excess, that depth.

A toy cascade from the formulas of bremsstrahlung and pair production in complete screening (PDG, Passage of particles
through matter, eq. 34.28 and 34.32), in which these do not depend on the energy."""


@jit
def _quantile(score, row, nodes):  # type: ignore[no-untyped-def]
    """Value of a marginal distribution at a normal score; constant beyond the outermost nodes."""
    position = (score - nodes[0]) / (nodes[1] - nodes[0])
    node = min(max(math.floor(position), 0), len(nodes) - 2)
    fraction = min(max(position - node, 0.0), 1.0)
    return row[node] * (1 - fraction) + row[node + 1] * fraction


@jit
def _density(depth, slope, b):  # type: ignore[no-untyped-def]
    """Gamma density without its norm."""
    return math.exp(slope * math.log(depth) - b * depth) if depth > 0 else 0.0


@jit
def _gamma_parameters(peak, width):  # type: ignore[no-untyped-def]
    """Exponent less one, and inverse scale, of the gamma density with a maximum and a standard deviation."""
    ratio = peak / width
    root = 0.5 * (ratio + math.sqrt(ratio * ratio + 4))
    slope = max(root * root - 1, 0.2)
    return slope, slope / peak


@jit
def _gamma_fractions(borders, slope, b, fractions):  # type: ignore[no-untyped-def]
    """Parts of a gamma profile between borders (Simpson's rule), which add up to 1."""
    low = 0.0
    for i in range(len(fractions)):
        high = _density(borders[i + 1], slope, b)
        middle = _density(0.5 * (borders[i] + borders[i + 1]), slope, b)
        fractions[i] = (low + 4 * middle + high) * (borders[i + 1] - borders[i])
        low = high
    fractions /= fractions.sum()


@jit
def _draw_scores(upper, p, generator):  # type: ignore[no-untyped-def]
    """Correlated normal scores: three of the whole shower, then one a layer from the start of the shower."""
    n_scores = p.cholesky.shape[1]
    normal = np.empty(n_scores)
    scores = np.zeros(n_scores)
    for i in range(n_scores):
        normal[i] = generator.standard_normal()
        for j in range(i + 1):
            scores[i] += ((1 - upper) * p.cholesky[0, i, j] + upper * p.cholesky[1, i, j]) * normal[j]
    return scores


@jit
def _layer_factor(depth, score, early, scaled, clipped, p):  # type: ignore[no-untyped-def]
    """Energy of a layer over that of the gamma profile; only the entry's correction goes on beyond the fitted range."""
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
    slope = 0.0
    for power in range(2, -1, -1):
        slope = slope * clipped + shift
        shift = shift * clipped + below * lower[power] + above * upper[power]
    shift += early * slope * (scaled - clipped)
    lower, upper = p.log_sigma[knot], p.log_sigma[knot + 1]
    sigma = math.exp(below * lower[0] + above * upper[0] + (below * lower[1] + above * upper[1]) * scaled)
    return math.exp(shift + min(sigma, LARGEST_SIGMA) * value)


@jit
def draw_profile(energy, start, secant, n_layers, p, generator, layer_energy, layer_depth):  # type: ignore[no-untyped-def]
    """Draw the energy that a shower leaves in each layer.

    A gamma profile (Longo and Sestili, NIM 128 (1975) 283) whose maximum and width fluctuate from shower to shower
    (as in Grindhammer and Peters, hep-ex/0001020), times a factor a layer: the entry, the tail and the sampling. All of
    them are drawn jointly from a Gaussian copula with the marginal distributions seen in Geant4. The first layers'
    factors are relative to the mean profile, since a shower's gamma profile says little about its first particles. The
    total follows from the conservation of energy: what a depth of the whole calorimeter holds, and the tail behind it,
    which goes with the energy in the last layers, make the particle's energy up to the sampling fluctuation.

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
    # Outside the fitted range the spread goes as 1 / (ln y - 2): Grindhammer and Peters, sampling calorimeters.
    offset = math.log(p.reference_energy / CRITICAL_ENERGY) - 2
    narrowing = (clipped + offset) / max(scaled + offset, SMALLEST_LOG)
    drawn = np.empty(2)
    for i in range(2):
        sigma = math.exp(p.shape_log_sigma[i, 0] + p.shape_log_sigma[i, 1] * clipped)
        sigma *= narrowing
        drawn[i] = math.exp(sigma * _quantile(scores[i], p.shape_quantiles[i], p.nodes))
    mean_peak = max(p.shape_median[0, 0] + p.shape_median[0, 1] * scaled, SHALLOWEST)
    mean_width = max(p.shape_median[1, 0] + p.shape_median[1, 1] * scaled, SHALLOWEST)
    slope, b = _gamma_parameters(mean_peak * drawn[0], mean_width * drawn[1])
    mean_slope, mean_b = _gamma_parameters(mean_peak, mean_width)

    # As many layers as the calorimeter has are always drawn, so that the shape can be normalised as in the fit.
    first = int(start / p.thickness)
    borders = np.empty(n_layers + 1)
    borders[0] = 0.0
    for i in range(n_layers):
        borders[i + 1] = ((first + i + 1) * p.thickness - start) * secant / p.radiation_length
    deposit = np.empty(n_layers)
    mean = np.empty(n_layers)
    _gamma_fractions(borders, slope, b, deposit)
    _gamma_fractions(borders, mean_slope, mean_b, mean)
    total, moment = 0.0, 0.0
    for i in range(n_layers):
        middle = 0.5 * (borders[i] + borders[i + 1])
        score = scores[N_SHAPE + i] if N_SHAPE + i < len(scores) else generator.standard_normal()
        early = min(max((EARLY_END - middle) / EARLY_WIDTH, 0.0), 1.0)
        if early > 0 and deposit[i] > 0:
            deposit[i] *= (mean[i] / deposit[i]) ** early
        deposit[i] *= _layer_factor(middle, score, early, scaled, clipped, p)
        total += deposit[i]
        moment += deposit[i] * middle

    tail = 0.0
    for i in range(n_layers - TAIL_LAYERS, n_layers):
        tail += deposit[i] / total / (borders[i + 1] - borders[i]) / TAIL_LAYERS
    spread = math.sqrt(p.total_variance[0] / energy + p.total_variance[1])
    sampling = _quantile(scores[2], p.shape_quantiles[2], p.nodes)
    visible = energy * max(1 + spread * sampling, 0.1) / (p.contained + p.tail_length * tail)
    deposit *= visible / total
    deposit[0] = max(deposit[0], min(p.entry_density * borders[1], energy))
    layer_energy[:] = 0.0
    layer_depth[:] = 0.0
    for layer in range(first, n_layers):
        layer_energy[layer] = deposit[layer - first]
        layer_depth[layer] = 0.5 * (borders[layer - first] + borders[layer - first + 1])
    return moment / total
