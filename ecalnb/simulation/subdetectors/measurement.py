"""All subdetectors together: from the truth of events to what the instrument records beside the calorimeter."""

from __future__ import annotations

import hashlib
from dataclasses import fields
from functools import cache

import numpy as np
import numpy.typing as npt

from ...geometry import Tracks
from .draws import stream
from .extrapolation import extrapolate
from .incident import Incident
from .parameters import PARAMETER_FILE, parameters
from .tof import measure_tof
from .tracker import measure_tracker
from .trd import measure_trd

__all__ = ["checksum", "measure"]

FloatArray = npt.NDArray[np.float64]
Columns = dict[str, npt.NDArray[np.generic]]


def measure(
    momentum: npt.ArrayLike,
    pdg: npt.ArrayLike,
    tracks: Tracks,
    ecal_energy: npt.ArrayLike,
    generator: np.random.Generator,
) -> tuple[Tracks, Columns]:
    """Measure events in tracker, TRD, TOF and anti-coincidence counters.

    Parameters
    ----------
    momentum : array_like, shape (n,)
        True momentum, GeV.
    pdg : int or array_like of int, shape (n,)
        PDG codes of the particles.
    tracks : Tracks
        True tracks at the front face of the calorimeter.
    ecal_energy : array_like, shape (n,)
        Energy seen by the calorimeter, GeV: for the TRD's likelihoods by energy, and for what comes back from it.
    generator : numpy.random.Generator
        For everything. The numbers of the first events are the same when more follow.

    Returns
    -------
    measured : Tracks
        The tracker's track at the front face; NaN for neutral particles, which have none.
    columns : dict of array, shape (n,)
        Columns of the event table, and the truth in ``true_x``, ``true_y`` (mm), ``true_inclination``, ``true_azimuth``
        (rad). For neutral particles counters are 0 and the rest NaN.

    Raises
    ------
    ValueError
        If a momentum is not positive, a PDG code is unknown, or the arrays differ in length.
    """
    incident = Incident.of(momentum, pdg)
    energy = np.asarray(ecal_energy, dtype=float)
    if not len(incident) == len(tracks) == energy.size:
        raise ValueError(f"{len(incident)} momenta, {len(tracks)} tracks and {energy.size} energies do not go together")
    charged = incident.charged
    for_tracker, for_track, for_trd, for_tof = (stream(generator) for _ in range(4))
    # Neutral particles are measured as protons would be and emptied after that: each event has its random numbers.
    stand_in = Incident(
        incident.momentum,
        np.where(charged, incident.charge, 1.0),
        np.where(charged, incident.mass, PROTON_MASS),
        incident.light,
    )
    known = parameters()
    tracker = measure_tracker(stand_in, tracks.inclination, known.tracker, for_tracker)
    beta = tracker.momentum / np.hypot(tracker.momentum, stand_in.mass)
    measured = extrapolate(tracks, tracker.momentum, beta, stand_in.charge, known.tracker, for_track)
    columns: Columns = {
        **tracker.columns,
        **measure_trd(stand_in, tracker.rigidity, energy, known.trd, for_trd),
        **measure_tof(stand_in, tracks.inclination, energy, known.tof, for_tof),
    }
    if not charged.all():
        columns = {name: _emptied(values, charged) for name, values in columns.items()}
        measured = Tracks(*(np.where(charged, getattr(measured, field.name), np.nan) for field in fields(Tracks)))
    truth = {f"true_{field.name}": getattr(tracks, field.name) for field in fields(Tracks)}
    return measured, columns | truth


PROTON_MASS = 0.938272  # GeV


def _emptied(values: npt.NDArray[np.generic], charged: npt.NDArray[np.bool_]) -> npt.NDArray[np.generic]:
    """Nothing where a particle has no charge."""
    return np.where(charged, values, np.nan if values.dtype.kind == "f" else np.zeros((), values.dtype))


@cache
def checksum() -> str:
    """Checksum of the parameters, for metadata."""
    return hashlib.blake2b(PARAMETER_FILE.read_bytes(), digest_size=8).hexdigest()
