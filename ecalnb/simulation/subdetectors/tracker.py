"""Silicon tracker: signed rigidity by span, charge by layer, number of tracks.

The curvature 1/R is what the tracker measures. Its error is Gaussian with a standard deviation of 1/MDR, where the
maximum detectable rigidity (MDR) is that of the span, with a second, wider Gaussian for the tails, and a part that is
proportional to 1/R from multiple scattering. A longer span has the hits of the shorter one and more, and the difference
between an efficient estimate and one from a part of its data is not correlated with the former: so the error of the
full span is drawn first, and what the shorter spans have in addition after that.

The sign is wrong when the error exceeds the curvature, or when hits that are not the track's are in the fit: then the
curvature changes its sign and its size is off by some ten percent.

Electrons radiate above the magnet: Bethe and Heitler's distribution of the energy that is left (W. Heitler, The Quantum
Theory of Radiation, sec. 37; B. Rossi, High-Energy Particles, 1952). The photons reach the calorimeter, so energy over
rigidity has a tail above 1.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .charge import layer_charges, median_of
from .draws import stream
from .incident import Incident
from .parameters import TrackerParameters

__all__ = ["TrackerHits", "kept_fraction", "measure_rigidities", "measure_tracker", "wrong_hits_probability"]

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

LEAST_KEPT = 0.02  # of the momentum of an electron: what is left of those that lose more does not cross the magnet


@dataclass(frozen=True)
class TrackerHits:
    """What the tracker knows of each event.

    Parameters
    ----------
    momentum : array, shape (n,)
        Momentum inside the tracker, GeV: below the generated one where an electron has radiated.
    rigidity : array, shape (n,)
        Signed rigidity of the longest span that has hits, GV; NaN for a neutral particle.
    columns : dict
        Columns of the event table.
    """

    momentum: FloatArray
    rigidity: FloatArray
    columns: dict[str, npt.NDArray[np.generic]]


def kept_fraction(
    light: BoolArray, inclination: FloatArray, radiator: float, generator: np.random.Generator
) -> FloatArray:
    """Fraction of the momentum that is left below the material above the magnet, shape (n,).

    With z the fraction, ``-ln z`` follows a gamma distribution of shape t / ln 2 for t radiation lengths along the
    track: ``f(z) = (-ln z)^(t/ln2 - 1) / Gamma(t/ln2)``, whose mean is exp(-t).
    """
    shape = np.where(light, radiator / np.log(2) / np.cos(inclination), 1.0)
    lost = stream(generator).standard_gamma(shape)
    return np.where(light, np.maximum(np.exp(-lost), LEAST_KEPT), 1.0)


def wrong_hits_probability(rigidity: FloatArray, light: BoolArray, tracker: TrackerParameters) -> FloatArray:
    """Probability that hits of others turn the sign of the curvature, shape (n,); grows with the rigidity, GV."""
    at_10_gv = np.where(light, tracker.wrong_hits_light, tracker.wrong_hits_heavy)
    return np.minimum(at_10_gv * (abs(rigidity) / 10) ** tracker.wrong_hits_power, 0.5)


def measure_rigidities(
    incident: Incident, momentum: FloatArray, tracker: TrackerParameters, generator: np.random.Generator
) -> FloatArray:
    """Signed rigidity by span.

    Parameters
    ----------
    incident : Incident
        Charged particles.
    momentum : array, shape (n,)
        Momentum in the magnet, GeV.
    tracker : TrackerParameters
        Parameters.
    generator : numpy.random.Generator
        For the errors.

    Returns
    -------
    array, shape (n, 3)
        GV, by span: inner, inner with L1, full.
    """
    n = len(incident)
    curvature = incident.charge / momentum
    scattering = stream(generator).standard_normal(n) * tracker.scattering / incident.beta
    wide = np.where(stream(generator).random(n) < tracker.tail_fraction, tracker.tail_width, 1.0)
    steps = stream(generator).standard_normal((n, 3))
    wrong = stream(generator).random(n) < wrong_hits_probability(1 / curvature, incident.light, tracker)
    off = np.exp(tracker.wrong_hits_spread * stream(generator).standard_normal(n))
    variances = np.where(
        abs(incident.charge)[:, None] > 1, np.array(tracker.mdr_nuclei) ** -2.0, np.array(tracker.mdr) ** -2.0
    )
    # From the full span to the inner one; each adds what it lacks of the variance.
    added = np.sqrt(np.diff(variances[:, ::-1], axis=1, prepend=0))
    errors = wide[:, None] * np.cumsum(added * steps, axis=1)[:, ::-1]
    measured = (curvature * (1 + scattering))[:, None] + errors
    return 1 / (measured * np.where(wrong, -off, 1.0)[:, None])


def measure_tracker(
    incident: Incident, inclination: FloatArray, tracker: TrackerParameters, generator: np.random.Generator
) -> TrackerHits:
    """Rigidities, charges and number of tracks of charged particles.

    Every charged particle has a track in the inner tracker; the outer layers L1 and L9 may lack their hit.

    Parameters
    ----------
    incident : Incident
        Charged particles.
    inclination : array, shape (n,)
        Of the tracks, rad.
    tracker : TrackerParameters
        Parameters.
    generator : numpy.random.Generator
        For everything.
    """
    layers = len(tracker.layer_z)
    momentum = incident.momentum * kept_fraction(incident.light, inclination, tracker.radiator, generator)
    rigidities = measure_rigidities(incident, momentum, tracker, generator)
    efficiency = np.full(layers, tracker.inner_efficiency)
    efficiency[[0, -1]] = tracker.outer_efficiency
    hit = stream(generator).random((len(incident), layers)) < efficiency
    rigidities[~hit[:, 0], 1:] = np.nan
    rigidities[~hit[:, -1], 2] = np.nan
    longest = rigidities[np.arange(len(incident)), 2 - np.argmax(np.isfinite(rigidities[:, ::-1]), axis=1)]
    charges = layer_charges(incident.charge, layers, tracker.signal_width, tracker.signal_noise, generator)
    charges[~hit] = np.nan
    more = np.where(incident.light, tracker.more_tracks_light, tracker.more_tracks_heavy)
    columns: dict[str, npt.NDArray[np.generic]] = {
        "n_tracks": 1 + (stream(generator).random(len(incident)) < more),
        "rigidity_electron": longest,
        "rigidity_proton": longest,
        "rigidity_inner": rigidities[:, 0],
        "rigidity_inner_l1": rigidities[:, 1],
        "rigidity_full": rigidities[:, 2],
        **{f"tracker_charge_layer_{layer}": charges[:, layer] for layer in range(layers)},
        "tracker_charge_inner_l1": median_of(charges[:, :-1]),
    }
    return TrackerHits(momentum, longest, columns)
