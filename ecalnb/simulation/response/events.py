"""The response applied to events."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from ...geometry import Calorimeter, Tracks
from ...showers import Showers
from ..reconstruction import energy_with_any_axis
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


def apply(
    showers: Showers,
    detector: str | Path = "nominal",
    seed: int | np.random.Generator = 0,
    tracks: Tracks | None = None,
) -> Showers:
    """Events as a detector sees them.

    Parameters
    ----------
    showers : Showers
        Events without detector response. Their ``en3d`` is reconstructed anew. The tracks of their table are the
        measured ones.
    detector : str or Path
        Name of a detector, or a TOML file that describes one.
    seed : int or numpy.random.Generator
        For what differs from event to event.
    tracks : Tracks, optional
        Where the particles really went; as measured unless told.

    Raises
    ------
    ValueError
        If there is no such detector, or the events have been seen by one already.
    """
    found = find_detector(detector)
    provenance = dict(showers.metadata.get("provenance", {}))
    if (before := provenance.get("detector", "ideal")) != "ideal":
        raise ValueError(f"the events have the response of the detector {before!r} already; expected 'ideal' ones")
    measured = showers.tracks if found.effects else None
    true = measured if tracks is None else tracks
    images = respond(showers.images, found, showers.geometry, np.random.default_rng(seed), true, measured)
    metadata = {**showers.metadata, "provenance": {**provenance, **found.describe()}}
    seen = Showers(images, showers.table.copy(), showers.geometry, metadata)
    seen.table["en3d"] = energy_with_any_axis(seen)
    return seen
