"""`simulate`: the one function for simulated events."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ..geometry import AMS, Calorimeter, Tracks
from ..showers import Showers
from . import production
from .beam import Beam, GivenEvents
from .engines import make_engine
from .particles import find_particle
from .response import find_detector
from .run import Run

__all__ = ["make_run", "simulate", "simulate_to_file"]


def make_run(
    particle: str | Sequence[str],
    n: int | None = None,
    *,
    energy: float | tuple[float, float] | Mapping[str, tuple[float, float]] | npt.NDArray[np.floating],
    tracks: Tracks | None = None,
    spectrum: float | str | None = None,
    angle: float | None = None,
    reach: float | None = None,
    engine: str = "fast",
    detector: str | Path = "nominal",
    keep: str = "",
    seed: int = 0,
    geometry: Calorimeter = AMS,
    **settings: Any,
) -> Run:
    """Describe a simulation; `simulate` explains the parameters.

    Raises
    ------
    ValueError
        If there is no such particle, engine or detector, a value is out of range, or a track misses the calorimeter.
    """
    limits = {"spectrum": spectrum, "angle": angle, "reach": reach}
    limits = {name: value for name, value in limits.items() if value is not None}
    source: Beam | GivenEvents
    if tracks is None and (isinstance(energy, tuple | Mapping) or np.ndim(energy) == 0):
        source = Beam(energy, **limits)  # type: ignore[arg-type]
        if n is None:
            raise ValueError("n is missing; expected the number of events to simulate")
    else:
        if tracks is None or limits or isinstance(energy, tuple | Mapping):
            raise ValueError(
                "energies and tracks of single events go together: give both as arrays, and no spectrum, angle or reach"
            )
        source = GivenEvents(np.broadcast_to(np.asarray(energy, dtype=float), len(tracks)), tracks)
        if n not in (None, len(tracks)):
            raise ValueError(f"n is {n}, but {len(tracks)} tracks are given")
        n = len(tracks)
    return Run(
        particles=tuple(find_particle(name) for name in ([particle] if isinstance(particle, str) else particle)),
        n=n,
        source=source,
        engine=make_engine(engine, **settings),
        detector=find_detector(detector),
        keep=keep,
        seed=seed,
        geometry=geometry,
    )


def simulate(particle: str | Sequence[str], n: int | None = None, *, jobs: int = 1, **options: Any) -> Showers:
    """Simulate events.

    The same arguments give the same events, whatever ``jobs`` is, and the first events of a longer run are those of a
    shorter one.

    Parameters
    ----------
    particle : str or sequence of str
        "electron", "positron", "photon", "proton", "pion+", ...: see `PARTICLES`. Several are mixed by their fluxes
        (``spectrum="ams"``) and have no label, like events in flight: what they are stands in ``true_pdg`` and
        ``true_momentum``.
    n : int
        Number of events; not needed when they are given one by one.
    energy : float, tuple of float, mapping or array
        Kinetic energy, GeV; two limits of a spectrum, which of a mixture may be given for each particle by its name;
        or, with ``tracks``, the energy of each event, shape (n,).
    tracks : Tracks, optional
        The track of each event; drawn unless told.
    spectrum : float or "ams"
        Spectrum between the limits: dN/dE proportional to E to this power, -1 unless told; or the flux that AMS has
        published.
    angle : float
        Largest inclination of the tracks that are drawn, rad; 25 degrees unless told, 0 for a vertical beam.
    reach : float
        They pass front and rear face within this distance of the axis in x and y, mm; 300 unless told.
    engine : {"fast", "geant4"}
        What simulates.
    detector : str or Path
        Detector response: "ideal" for none, "nominal", "flight", or a TOML file that describes another detector.
    keep : str
        Condition on the columns of the event table; events that do not meet it are simulated and left out, so that
        fewer than ``n`` come out. All stay unless told.
    seed : int
        Seed of all random numbers.
    geometry : Calorimeter
        The calorimeter.
    jobs : int
        Threads of the fast engine, or processes of Geant4.
    **options
        For Geant4: ``homogenised``, ``cut`` (mm), ``physics``, ``birks`` (mm/MeV) and ``importance``, see
        `geant4.Geant4Settings`.

    Returns
    -------
    Showers
        ``metadata["provenance"]`` says what made them.

    Raises
    ------
    ValueError
        If there is no such particle, engine or detector, a value is out of range, or a track misses the calorimeter.
    Geant4Error
        If the extra ``geant4`` is not installed, or Geant4 failed.
    """
    return production.in_memory(make_run(particle, n, **options), jobs)


def simulate_to_file(
    path: str | os.PathLike[str],
    particle: str | Sequence[str],
    n: int | None = None,
    *,
    jobs: int = 1,
    overwrite: bool = False,
    **options: Any,
) -> int:
    """Simulate events into a ROOT file in the layout of AMS's ntuples.

    Blocks of events are kept beside the file until it is whole: after a kill the same call goes on where it was.

    Parameters
    ----------
    path : path
        The file.
    particle, n, jobs, **options
        As for `simulate`.
    overwrite : bool
        Whether a file that is there, or blocks of another run, may be replaced.

    Returns
    -------
    int
        Events written.

    Raises
    ------
    FileExistsError, RootError
        If the file exists, cannot be written, or there are blocks of another run.
    ValueError, Geant4Error
        As for `simulate`.
    """
    return production.to_file(make_run(particle, n, **options), Path(path), jobs, overwrite=overwrite)
