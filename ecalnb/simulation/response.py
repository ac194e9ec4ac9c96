"""Detector response: what the readout makes of the energy in the fibres.

A detector is a set of effects, each with a parameter of its own, in ``data/detectors.toml``. The response is applied to
the events of either engine alike.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt

from .._toml import DATA, check_keys, near, read_toml
from ..geometry import Calorimeter
from ..showers import Showers
from ..variables import reconstructed_energy

__all__ = ["Detector", "apply", "find_detector", "load_detectors", "respond"]


@dataclass(frozen=True)
class Detector:
    """A detector response; ``data/detectors.toml`` explains the parameters. An effect with 0 is absent.

    Raises
    ------
    ValueError
        If a parameter is negative.
    """

    name: str
    description: str
    photo_electrons: float = 0.0
    cell_spread: float = 0.0
    pmt_spread: float = 0.0
    noise: float = 0.0
    threshold: float = 0.0

    def __post_init__(self) -> None:
        for effect in fields(self)[2:]:
            if not getattr(self, effect.name) >= 0:
                raise ValueError(
                    f"{effect.name} of the detector {self.name!r} is {getattr(self, effect.name)!r}; expected 0 or more"
                )

    def gains(self, geometry: Calorimeter) -> npt.NDArray[np.float64]:
        """Relative calibration of each cell, shape (n_layers, n_cells): the same in all events of the detector."""
        generator = np.random.default_rng(zlib.crc32(self.name.encode()))
        layers, cells = geometry.shape
        cell = generator.normal(1, self.cell_spread, geometry.shape)
        pmt = generator.normal(1, self.pmt_spread, (-(-layers // 2), -(-cells // 2)))
        return cell * np.repeat(np.repeat(pmt, 2, axis=0), 2, axis=1)[:layers, :cells]


def load_detectors() -> dict[str, Detector]:
    """Read the packaged detectors by name."""
    path = DATA / "detectors.toml"
    known = tuple(field.name for field in fields(Detector)[1:])
    detectors = {}
    for name, entry in read_toml(path).items():
        check_keys(entry, known, f"{path}, [{name}]", required=("description",))
        detectors[name] = Detector(name, **entry)
    return detectors


def find_detector(name: str) -> Detector:
    """Detector of a name.

    Raises
    ------
    ValueError
        If there is none.
    """
    detectors = load_detectors()
    if name not in detectors:
        known = ", ".join(detectors)
        raise ValueError(f"no detector is named {name!r}{near(name, detectors)}; expected one of {known}")
    return detectors[name]


def respond(
    images: npt.NDArray[np.float32], detector: Detector, geometry: Calorimeter, generator: np.random.Generator
) -> npt.NDArray[np.float32]:
    """Response of a detector to images, GeV, shape (n, n_layers, n_cells).

    In the order of nature: light, its conversion to photo-electrons, gain, noise, zero suppression.
    """
    energies = images.astype(np.float64)
    for_light, for_noise = generator.spawn(2)  # so that an event does not depend on those after it
    if detector.photo_electrons:
        hit = energies > 0
        energies[hit] = for_light.poisson(energies[hit] * detector.photo_electrons) / detector.photo_electrons
    if detector.cell_spread or detector.pmt_spread:
        energies *= detector.gains(geometry)
    if detector.noise:
        energies += for_noise.normal(0, detector.noise, energies.shape)
    if detector.noise or detector.threshold:
        energies[energies < detector.threshold] = 0
    return energies.astype(np.float32)


def apply(showers: Showers, detector: str = "nominal", seed: int | np.random.Generator = 0) -> Showers:
    """Events as a detector sees them.

    Parameters
    ----------
    showers : Showers
        Events without detector response. Their ``en3d`` is reconstructed anew.
    detector : str
        Name of a detector.
    seed : int or numpy.random.Generator
        For photo-statistics and noise.

    Raises
    ------
    ValueError
        If there is no such detector, or the events have been seen by one already.
    """
    found = find_detector(detector)
    provenance = dict(showers.metadata.get("provenance", {}))
    if (before := provenance.get("detector", "ideal")) != "ideal":
        raise ValueError(f"the events have the response of the detector {before!r} already; expected 'ideal' ones")
    images = respond(showers.images, found, showers.geometry, np.random.default_rng(seed))
    metadata = {**showers.metadata, "provenance": {**provenance, "detector": detector}}
    seen = Showers(images, showers.table.copy(), showers.geometry, metadata)
    seen.table["en3d"] = reconstructed_energy(seen)
    return seen
