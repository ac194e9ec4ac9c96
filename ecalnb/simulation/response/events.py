"""The response applied to events."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from ...geometry import Calorimeter, Tracks
from ...showers import Showers
from ..reconstruction import energy_with_any_axis
from ..subdetectors import checksum, measure
from .detector import EFFECTS, Detector, find_detector
from .effect import Circumstances

__all__ = ["apply", "respond"]


def respond(
    images: npt.NDArray[np.float32],
    detector: Detector,
    geometry: Calorimeter,
    generator: np.random.Generator,
    tracks: Tracks | None = None,
    measured: Tracks | None = None,
) -> npt.NDArray[np.float32]:
    """Response of a detector to images.

    An event's response does not depend on the events after it.

    Parameters
    ----------
    images : array, shape (n, n_layers, n_cells)
        Energy in the fibres, GeV on the scale of images.
    detector : Detector
        The detector.
    geometry : Calorimeter
        The calorimeter.
    generator : numpy.random.Generator
        For what differs from event to event.
    tracks : Tracks, optional
        Where the particles went, for effects that need it.
    measured : Tracks, optional
        Where the tracker says that they went, for corrections; ``tracks`` unless told.

    Returns
    -------
    array, shape (n, n_layers, n_cells), float32

    Raises
    ------
    ValueError
        If an effect needs tracks and there are none, or tracks and images differ in number.
    """
    measured = tracks if measured is None else measured
    for name, given in (("tracks", tracks), ("measured tracks", measured)):
        if given is not None and len(given) != len(images):
            raise ValueError(f"{len(given)} {name} do not go with {len(images)} images")
    energies = images.astype(np.float64)
    # Each kind has random numbers of its own, so that an effect that is added changes nothing in the others.
    generators = dict(zip(EFFECTS, generator.spawn(len(EFFECTS)), strict=True))
    for effect in detector.effects:
        constants = detector.constants(effect)
        energies = effect(energies, Circumstances(geometry, constants, generators[effect.name], tracks, measured))
    return energies.astype(np.float32)


def apply(showers: Showers, detector: str | Path = "nominal", seed: int | np.random.Generator = 0) -> Showers:
    """Events as a detector sees them, and as the other subdetectors measure them.

    Parameters
    ----------
    showers : Showers
        Simulated events without detector response: the tracks of their table are the true ones. They become those of
        the tracker, beside the columns of all subdetectors, and ``en3d`` is reconstructed anew.
    detector : str or Path
        Name of a detector, or a TOML file that describes one. With one without effects only ``en3d`` changes.
    seed : int or numpy.random.Generator
        For what differs from event to event.

    Raises
    ------
    ValueError
        If there is no such detector, the events have been seen by one already, or do not say what particles they are.
    """
    found = find_detector(detector)
    provenance = dict(showers.metadata.get("provenance", {}))
    if (before := provenance.get("detector", "ideal")) != "ideal":
        raise ValueError(f"the events have the response of the detector {before!r} already; expected 'ideal' ones")
    generator = np.random.default_rng(seed)
    images, table, described = showers.images, showers.table.copy(), found.describe()
    if found.effects:
        for_response, for_subdetectors = generator.spawn(2)
        measured, columns = measure(*_truth(table), showers.tracks, showers.energies, for_subdetectors)
        images = respond(images, found, showers.geometry, for_response, showers.tracks, measured)
        table = table.drop(columns=columns, errors="ignore").join(pd.DataFrame(columns, index=table.index))
        for name in ("x", "y", "inclination", "azimuth"):
            table[f"track_{name}"] = getattr(measured, name)
        described["subdetectors"] = checksum()
    metadata = {**showers.metadata, "provenance": {**provenance, **described}}
    seen = Showers(images, table, showers.geometry, metadata)
    seen.table["en3d"] = energy_with_any_axis(seen)
    return seen


def _truth(table: pd.DataFrame) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
    """Momentum, GeV, and PDG code of simulated events; those without a label have them apart."""
    for prefix in ("", "true_"):
        if {f"{prefix}momentum", f"{prefix}pdg"} <= set(table.columns):
            return table[f"{prefix}momentum"].to_numpy(dtype=float), table[f"{prefix}pdg"].to_numpy(dtype=np.int64)
    raise ValueError("the event table has no columns momentum and pdg: only simulated events can be measured")
