"""A simulation run: what is simulated, how, and with which seed; made block by block.

Blocks have a fixed number of events and random numbers of their own, so that the same seed gives the same events
whatever the number of processes, and an interrupted production goes on where it was.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from .. import __version__
from ..geometry import AMS, Calorimeter
from ..showers import Showers
from ..variables import reconstructed_energy
from .beam import Beam, GivenEvents
from .engines import Engine
from .particles import Particle
from .response import find_detector, respond

__all__ = ["Run"]


@dataclass(frozen=True)
class Run:
    """A simulation run.

    Parameters
    ----------
    particle : Particle
        What is simulated.
    n : int
        Number of events.
    source : Beam or GivenEvents
        Energies and tracks.
    engine : Engine
        What simulates.
    detector : str
        Detector response.
    seed : int
        Seed of all random numbers.
    geometry : Calorimeter
        The calorimeter.

    Raises
    ------
    ValueError
        If a number is out of its range, or the engine cannot do it.
    """

    particle: Particle
    n: int
    source: Beam | GivenEvents
    engine: Engine
    detector: str = "nominal"
    seed: int = 0
    geometry: Calorimeter = AMS

    def __post_init__(self) -> None:
        if self.n < 1:
            raise ValueError(f"n is {self.n!r}; expected a positive number of events")
        if not 0 <= self.seed < 2**63:
            raise ValueError(f"seed {self.seed!r} is not within 0 to 2^63 - 1")
        self.source.check(self.geometry)
        find_detector(self.detector)
        self.engine.check(self.particle, *self.source.limits)

    @property
    def blocks(self) -> int:
        """Number of blocks."""
        return math.ceil(self.n / self.engine.block)

    @cached_property
    def description(self) -> dict[str, Any]:
        """What the events are, for metadata: all that they depend on, but not how many there are."""
        return {
            **self.engine.describe(self.particle),
            "ecalnb": __version__,
            "geometry": self.geometry.name,
            "detector": self.detector,
            "particle": self.particle.name,
            **self.source.describe(),
            "seed": self.seed,
        }

    @cached_property
    def key(self) -> int:
        """``file_id`` of the events: a checksum of the description, so that the same events have the same key."""
        text = json.dumps(self.description, sort_keys=True)
        return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little", signed=True)

    def size(self, block: int) -> int:
        """Events of a block."""
        return min(self.engine.block, self.n - block * self.engine.block)

    def simulate(self, block: int, on_event: Callable[[int], None] = lambda _: None) -> Showers:
        """Events of a block."""
        start = block * self.engine.block
        stop = start + self.size(block)
        # The events of a block do not depend on n, so all of it is drawn even where only a part is wanted.
        whole = start + self.engine.block if isinstance(self.source, Beam) else stop
        for_source, for_engine, for_detector = np.random.SeedSequence(self.seed, spawn_key=(block,)).spawn(3)
        energies, tracks = self.source.events(start, whole, self.geometry, np.random.default_rng(for_source))
        energies, tracks = energies[: stop - start], tracks[: stop - start]
        images, truth = self.engine.images(self.particle, energies, tracks, self.geometry, for_engine, on_event)
        images = respond(images, find_detector(self.detector), self.geometry, np.random.default_rng(for_detector))
        table = pd.DataFrame(
            {
                "file_id": np.full(len(images), self.key),
                "entry": np.arange(start, stop),
                "label": self.particle.name,
                "momentum": np.sqrt(energies * (energies + 2 * self.particle.mass)),
                "pdg": self.particle.pdg,
                "event": np.arange(start, stop),
                "track_x": tracks.x,
                "track_y": tracks.y,
                "track_inclination": tracks.inclination,
                "track_azimuth": tracks.azimuth,
                **truth,
            }
        )
        showers = Showers(images, table, self.geometry, {"provenance": self.description})
        showers.table["en3d"] = reconstructed_energy(showers)
        return showers
