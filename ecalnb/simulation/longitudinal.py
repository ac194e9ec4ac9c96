"""Energy profile of an electromagnetic shower along its axis."""

from __future__ import annotations

import math

import numpy as np

from .._compiled import jit

__all__ = ["draw_profile"]


@jit
def _knot(depth, p):  # type: ignore[no-untyped-def]
    """Knot below a depth and the weight of the next one; constant outside the knots."""
    spacing = p.knots[1] - p.knots[0]
    position = (depth - p.knots[0]) / spacing
    last = len(p.knots) - 2
    if position <= 0:
        return 0, 0.0
    if position >= last + 1:
        return last, 1.0
    knot = int(position)
    return knot, position - knot


@jit
def _quantile(score, row, nodes):  # type: ignore[no-untyped-def]
    """Value of a marginal distribution at a normal score; straight beyond the outermost nodes."""
    spacing = nodes[1] - nodes[0]
    position = (score - nodes[0]) / spacing
    node = min(max(int(math.floor(position)), 0), len(nodes) - 2)
    fraction = position - node
    return row[node] * (1 - fraction) + row[node + 1] * fraction


@jit
def draw_profile(energy, start, secant, n_layers, p, generator, layer_energy, layer_depth):  # type: ignore[no-untyped-def]
    """Draw the energy that a shower leaves in each layer.

    The log of the energy per radiation length is a gamma profile (Longo and Sestili, NIM 128 (1975) 283) plus a fitted correction (entry, tail)
    plus a fluctuation: a Gaussian process along the axis, with a white part for the sampling, sent through the measured
    marginal distributions. The whole is scaled so that the energy with its tail behind the last depth is the particle's,
    up to the sampling fluctuation of the total.

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
    log_energy = math.log(energy)
    scaled = log_energy - math.log(p.reference_energy)
    clipped = min(max(scaled, p.energy_clip[0]), p.energy_clip[1])
    upper = (clipped - p.energy_clip[0]) / (p.energy_clip[1] - p.energy_clip[0])
    n_knots = len(p.knots)
    peak = max(log_energy - math.log(p.critical_energy) - p.gamma_shift, 0.5)
    slope = p.gamma_b * peak
    log_norm = (slope + 1) * math.log(p.gamma_b) - math.lgamma(slope + 1)
    normal = np.empty(n_knots)
    for i in range(n_knots):
        normal[i] = generator.standard_normal()
    smooth = np.zeros(n_knots)
    for i in range(n_knots):
        for j in range(i + 1):
            weight = (1 - upper) * p.cholesky[0, i, j] + upper * p.cholesky[1, i, j]
            smooth[i] += weight * normal[j]

    layer_energy[:] = 0.0
    layer_depth[:] = 0.0
    first = int(start / p.thickness)
    nominal = n_layers * p.thickness / p.radiation_length
    per_layer = p.thickness * secant / p.radiation_length
    total = 0.0
    moment = 0.0
    recent0, recent1, recent2 = 0.0, 0.0, 0.0
    layer = first
    top = 0.0
    while layer < n_layers or top < nominal - 1e-6:
        bottom = ((layer + 1) * p.thickness - start) * secant / p.radiation_length
        width = bottom - top
        middle = 0.5 * (bottom + top)
        knot, fraction = _knot(middle, p)
        white = (1 - upper) * (p.white[0, knot] * (1 - fraction) + p.white[0, knot + 1] * fraction) + upper * (
            p.white[1, knot] * (1 - fraction) + p.white[1, knot + 1] * fraction
        )
        score = smooth[knot] * (1 - fraction) + smooth[knot + 1] * fraction
        score += math.sqrt(white) * generator.standard_normal()
        value = (1 - fraction) * _quantile(score, p.quantiles[knot], p.nodes) + fraction * _quantile(
            score, p.quantiles[knot + 1], p.nodes
        )
        c0 = (1 - fraction) * p.correction[knot, 0] + fraction * p.correction[knot + 1, 0]
        c1 = (1 - fraction) * p.correction[knot, 1] + fraction * p.correction[knot + 1, 1]
        c2 = (1 - fraction) * p.correction[knot, 2] + fraction * p.correction[knot + 1, 2]
        s0 = (1 - fraction) * p.log_sigma[knot, 0] + fraction * p.log_sigma[knot + 1, 0]
        s1 = (1 - fraction) * p.log_sigma[knot, 1] + fraction * p.log_sigma[knot + 1, 1]
        inside = max(middle, p.knots[0])
        log_density = log_norm + slope * math.log(inside) - p.gamma_b * inside
        log_density += c0 + clipped * (c1 + clipped * c2) + math.exp(s0 + s1 * clipped) * value
        density = energy * math.exp(log_density)
        if middle < p.knots[0]:
            density = p.entry_density + (density - p.entry_density) * middle / p.knots[0]
        deposit = density * width
        if layer < n_layers:
            layer_energy[layer] = deposit
            layer_depth[layer] = middle
        total += deposit
        moment += deposit * middle
        recent0, recent1, recent2 = recent1, recent2, density
        top = bottom
        layer += 1
    whole = p.contained * total + p.tail_length * (recent0 + recent1 + recent2) / 3
    spread = math.sqrt(p.total_variance[0] / energy + p.total_variance[1])
    layer_energy *= energy * max(1 + spread * generator.standard_normal(), 0.1) / whole
    return moment / total
