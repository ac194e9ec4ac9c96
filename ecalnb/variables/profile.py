"""The longitudinal profile of a shower: a gamma distribution fitted to the layer energies of each event.

``dE/dt = E0 b (b t)^(a - 1) exp(-b t) / Gamma(a)`` with the depth t in radiation lengths along the track from the front
face, and the maximum at ``T0 = (a - 1) / b`` (E. Longo and I. Sestili, NIM 128 (1975) 283; Particle Data Group, Review
of Particle Physics, "Passage of particles through matter"). AMS keeps b = 0.65 for each shower, so that the shape has
one parameter, ``a = 1 + b T0`` (A. Kounine et al., NIM A 869 (2017) 110; AMS Collaboration, Physics Reports 894 (2021)
1, sec. 1.7.1).

The variance of a layer's energy is taken to be proportional to its expectation, as sampling fluctuations are. The
likelihood is then that of a multinomial distribution of the energy over the layers: E0 follows from the sum, and the
shape from two sums, of ``t`` and of ``ln t``, because the gamma distribution is an exponential family in them. Such a
likelihood has one maximum, which Newton's method finds from anywhere, for protons too.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .._compiled import jit
from ..geometry import Tracks
from ..showers import Showers

__all__ = ["AMS_RATE", "DEPTH_MAX", "GammaProfiles", "fit_gamma_profiles", "track_depths_x0"]

FloatArray = npt.NDArray[np.float64]

AMS_RATE = 0.65
"""b of AMS's shower fit, per radiation length (NIM A 869 (2017) 110)."""

DEPTH_MAX = 50.0
"""Deepest shower maximum that a fit may give, radiation lengths: three times the calorimeter's depth."""

# Spread of a layer's energy about the fit for electrons: a sampling quantum of 10 MeV, 10 % of the energy for what the
# gamma distribution does not describe, and 10 MeV, about a minimum ionising particle, for layers without a shower.
QUANTUM, SHAPE_SPREAD, LAYER_FLOOR = 0.010, 0.10, 0.010

# Smallest b of a fit with b free, per radiation length: a profile that hardly falls.
_RATE_MIN = 0.1

# Three-point Gauss-Legendre rule in each layer.
_NODES = np.array([0.5 - math.sqrt(0.15), 0.5, 0.5 + math.sqrt(0.15)])
_WEIGHTS = np.array([5.0, 8.0, 5.0]) / 18.0


@dataclass(frozen=True)
class GammaProfiles:
    """Gamma distributions fitted to the layer energies; arrays of shape (n,), NaN for events without a fit.

    Parameters
    ----------
    energy : array
        E0, GeV: the energy of the whole profile, behind the calorimeter too.
    maximum : array
        T0, radiation lengths along the track; 0 to `DEPTH_MAX`, where the fit is stopped.
    shape, rate : array
        a, and b per radiation length.
    leakage : array
        Fraction of E0 behind the last layer.
    chi2 : array
        Of the layer energies about the fit, divided by the number of degrees of freedom. The spread that it refers to
        is a model (`QUANTUM`, `SHAPE_SPREAD`, `LAYER_FLOOR`): it orders showers, and is not distributed as a chi2.
    """

    energy: FloatArray
    maximum: FloatArray
    shape: FloatArray
    rate: FloatArray
    leakage: FloatArray
    chi2: FloatArray


def track_depths_x0(showers: Showers) -> FloatArray:
    """Depth of the middle of each layer along the track, published radiation lengths, shape (n, n_layers).

    NaN for an event without a track.
    """
    return showers.geometry.layer_depths_x0 / np.cos(showers.tracks.inclination)[:, None]


def fit_gamma_profiles(showers: Showers, axis: Tracks | None = None, *, rate: float | None = AMS_RATE) -> GammaProfiles:
    """Fit a gamma distribution to the layer energies of each event; about 100,000 events a second.

    Parameters
    ----------
    showers : Showers
        Events.
    axis : Tracks, optional
        What the depth is measured along; their tracks unless told.
    rate : float, optional
        b, per radiation length, fixed; None to fit it too, which follows single showers better and extrapolates worse.

    Returns
    -------
    GammaProfiles
        NaN for events without energy or axis.

    Raises
    ------
    ValueError
        If ``rate`` is not positive.
    """
    if rate is not None and not 0 < rate < 10:
        raise ValueError(f"rate is {rate!r}; expected b in inverse radiation lengths, for example {AMS_RATE}, or None")
    geometry = showers.geometry
    step = geometry.radiation_lengths / geometry.n_layers
    result = np.full((6, len(showers)), np.nan)
    inclination = (showers.tracks if axis is None else axis).inclination
    _fit(showers.layer_energies, step / np.cos(inclination), -1.0 if rate is None else rate, result)
    return GammaProfiles(*result)


@jit
def _moments(shape, rate, depth, log_depth, layers, first, second, log_first):  # type: ignore[no-untyped-def]
    """Fraction of the contained profile in each layer, and the means of t and ln t there; returns the integral.

    The profile is t^(a-1) exp(-b t), relative to its value at the maximum so that it neither over- nor underflows.
    """
    largest = -1e300
    for k in range(len(depth)):
        largest = max(largest, (shape - 1) * log_depth[k] - rate * depth[k])
    total = 0.0
    for i in range(len(layers)):
        s, st, sl = 0.0, 0.0, 0.0
        for j in range(3):
            k = 3 * i + j
            f = _WEIGHTS[j] * math.exp((shape - 1) * log_depth[k] - rate * depth[k] - largest)
            s += f
            st += f * depth[k]
            sl += f * log_depth[k]
        layers[i], first[i], log_first[i] = s, st, sl
        total += s
    for i in range(len(layers)):
        second[i] = max(layers[i], 1e-300)
        first[i] /= second[i]
        log_first[i] /= second[i]
        layers[i] /= total
    return math.log(total) + largest


@jit
def _fit(energies, steps, fixed_rate, result):  # type: ignore[no-untyped-def]
    n_layers = energies.shape[1]
    depth, log_depth = np.empty(3 * n_layers), np.empty(3 * n_layers)
    layers, mean_t, mean_l, scratch = np.empty(n_layers), np.empty(n_layers), np.empty(n_layers), np.empty(n_layers)
    for event in range(len(energies)):
        energy, step = energies[event], steps[event]
        total = energy.sum()
        if not (total > 0 and step > 0 and step < 1e6):
            continue
        for i in range(n_layers):
            for j in range(3):
                depth[3 * i + j] = step * (i + _NODES[j])
                log_depth[3 * i + j] = math.log(depth[3 * i + j])
        free = fixed_rate < 0
        rate = AMS_RATE if free else fixed_rate
        shape = 1.0 + rate * 6.0
        log_integral = _moments(shape, rate, depth, log_depth, layers, mean_t, scratch, mean_l)
        value = _log_likelihood(energy, layers)
        for _ in range(60):
            # Gradient and (negative) curvature of the mean of ln p in the natural parameters a and -b.
            gl = gt = ml = mt = ll = lt = tt = 0.0
            for i in range(n_layers):
                ml += layers[i] * mean_l[i]
                mt += layers[i] * mean_t[i]
            for i in range(n_layers):
                dl, dt = mean_l[i] - ml, mean_t[i] - mt
                gl += energy[i] / total * dl
                gt += energy[i] / total * dt
                ll += layers[i] * dl * dl
                lt += layers[i] * dl * dt
                tt += layers[i] * dt * dt
            da, db = gl / (ll + 1e-12), 0.0
            if free:
                determinant = ll * tt - lt * lt + 1e-12
                db = -(ll * gt - lt * gl) / determinant
                if db > 0 or rate > 1.001 * _RATE_MIN:
                    da = (tt * gl - lt * gt) / determinant
                else:  # at the bound of b: a alone
                    db = 0.0
            new_shape, new_rate, scale, better = shape, rate, 1.0, False
            for _ in range(20):
                # Most of the way to a bound, and not onto it: from there the next step could not leave again.
                new_rate = max(rate + scale * db, _RATE_MIN + 0.1 * (rate - _RATE_MIN)) if free else rate
                new_shape = max(shape + scale * da, 1.0 + 0.1 * (shape - 1.0))
                deepest = 1.0 + new_rate * DEPTH_MAX
                if new_shape > deepest:
                    new_shape = deepest
                log_integral = _moments(new_shape, new_rate, depth, log_depth, layers, mean_t, scratch, mean_l)
                new_value = _log_likelihood(energy, layers)
                if new_value >= value - 1e-12:
                    better = True
                    break
                scale /= 2
            moved = abs(new_shape - shape) + abs(new_rate - rate)
            if better:
                shape, rate, value = new_shape, new_rate, new_value
            if not better or moved < 1e-6:
                break
        log_integral = _moments(shape, rate, depth, log_depth, layers, mean_t, scratch, mean_l)
        contained = step * math.exp(log_integral + shape * math.log(rate) - math.lgamma(shape))
        contained = min(contained, 1.0)
        chi2 = 0.0
        for i in range(n_layers):
            expected = total * layers[i]
            spread2 = QUANTUM * expected + (SHAPE_SPREAD * expected) ** 2 + LAYER_FLOOR**2
            chi2 += (energy[i] - expected) ** 2 / spread2
        result[0, event] = total / contained
        result[1, event] = (shape - 1) / rate
        result[2, event] = shape
        result[3, event] = rate
        result[4, event] = 1 - contained
        result[5, event] = chi2 / (n_layers - (3 if free else 2))


@jit
def _log_likelihood(energy, layers):  # type: ignore[no-untyped-def]
    value, total = 0.0, 0.0
    for i in range(len(energy)):
        value += energy[i] * math.log(max(layers[i], 1e-300))
        total += energy[i]
    return value / total
