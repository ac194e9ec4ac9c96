"""A simulation run: what is simulated, how, and with which seed; made block by block.

Blocks have a fixed number of events and random numbers of their own, so that the same seed gives the same events
whatever the number of processes, and an interrupted production goes on where it was.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from .. import __version__
from ..geometry import AMS, Calorimeter, Tracks
from ..selection import Cut
from ..showers import Showers
from .beam import Beam, GivenEvents, Primaries
from .engines import Engine, Images, Truth
from .particles import Particle
from .reconstruction import energy_with_any_axis
from .response import Detector, respond
from .subdetectors import checksum, measure

__all__ = ["Run"]


@dataclass(frozen=True)
class Run:
    """A simulation run.

    Parameters
    ----------
    particles : tuple of Particle
        What is simulated. Several are mixed by their fluxes, as the instrument records them: such events have no label,
        and what they are stands apart in ``true_pdg`` and ``true_momentum``.
    n : int
        Number of events.
    source : Beam or GivenEvents
        Energies and tracks.
    engine : Engine
        What simulates.
    detector : Detector
        Detector response. With any effect the other subdetectors measure too: then the tracks of the table are the
        tracker's.
    keep : str
        Condition on the columns of the event table (:mod:`ecalnb.expressions`); events that do not meet it are left
        out. Empty for all events.
    seed : int
        Seed of all random numbers.
    geometry : Calorimeter
        The calorimeter.

    Raises
    ------
    ValueError
        If a number is out of its range, or the engine cannot do it.
    """

    particles: tuple[Particle, ...]
    n: int
    source: Beam | GivenEvents
    engine: Engine
    detector: Detector
    keep: str = ""
    seed: int = 0
    geometry: Calorimeter = AMS

    def __post_init__(self) -> None:
        if self.n < 1:
            raise ValueError(f"n is {self.n!r}; expected a positive number of events")
        if not 0 <= self.seed < 2**63:
            raise ValueError(f"seed {self.seed!r} is not within 0 to 2^63 - 1")
        if len(self.particles) > 1 and self.engine.weighted:
            raise ValueError("a mixture of particles is for events without weights; expected no importance sampling")
        self.source.check(self.particles, self.geometry)
        for particle in self.particles:
            self.engine.check(particle, *self.source.limits(particle))
        if self.keep:
            Cut(self.keep)

    @property
    def name(self) -> str:
        """The particles, for people."""
        return ", ".join(particle.name for particle in self.particles)

    @property
    def blocks(self) -> int:
        """Number of blocks."""
        return math.ceil(self.n / self.engine.block)

    @cached_property
    def description(self) -> dict[str, Any]:
        """What the events are, for metadata: all that they depend on, but not how many there are."""
        engine: dict[str, Any] = {}
        for particle in self.particles:
            engine |= self.engine.describe(particle)
        return {
            **engine,
            "ecalnb": __version__,
            "geometry": self.geometry.name,
            **self.detector.describe(),
            **({"subdetectors": checksum()} if self.detector.effects else {}),
            "particle": self.name,
            **self.source.describe(),
            "seed": self.seed,
            **({"keep": self.keep} if self.keep else {}),
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
        seeds = np.random.SeedSequence(self.seed, spawn_key=(block,)).spawn(4)
        for_source, for_engine, for_detector, for_subdetectors = seeds
        primaries = self.source.events(start, whole, self.particles, self.geometry, np.random.default_rng(for_source))[
            : stop - start
        ]
        images, truth = self._images(primaries, for_engine, on_event)
        numbers = np.arange(start, stop)
        if "weight" in truth:  # importance sampling has ended some events before their time
            there = truth["weight"] > 0
            images, primaries, numbers = images[there], primaries[there], numbers[there]
            truth = {name: values[there] for name, values in truth.items()}
        mass, pdg = (
            np.array([getattr(particle, name) for particle in self.particles])[primaries.species]
            for name in ("mass", "pdg")
        )
        truth |= {"momentum": np.sqrt(primaries.energies * (primaries.energies + 2 * mass)), "pdg": pdg}
        tracks = primaries.tracks
        recorded: dict[str, npt.NDArray[Any]] = {}
        if self.detector.effects:
            energy, generator = images.sum(axis=(1, 2)), np.random.default_rng(for_subdetectors)
            tracks, recorded = measure(truth["momentum"], pdg, primaries.tracks, energy, generator)
        generator = np.random.default_rng(for_detector)
        images = respond(images, self.detector, self.geometry, generator, primaries.tracks, tracks)
        if mixed := len(self.particles) > 1:  # as in flight: no label, and the truth apart
            truth = {f"true_{name}": values for name, values in truth.items()}
        columns = {
            "file_id": np.full(len(images), self.key),
            "entry": numbers,
            "label": None if mixed else self.name,
            "event": numbers,
            **truth,
            **{f"track_{field.name}": getattr(tracks, field.name) for field in fields(Tracks)},
            **recorded,
        }
        showers = Showers(images, pd.DataFrame(columns), self.geometry, {"provenance": self.description})
        showers.table["en3d"] = energy_with_any_axis(showers)
        return showers[Cut(self.keep)(showers.table)] if self.keep else showers

    def _images(
        self, primaries: Primaries, seed: np.random.SeedSequence, on_event: Callable[[int], None]
    ) -> tuple[Images, Truth]:
        """Cell energies of events, and their truth, particle by particle."""
        if len(self.particles) == 1:
            return self.engine.images(
                self.particles[0], primaries.energies, primaries.tracks, self.geometry, seed, on_event
            )
        images = np.zeros((len(primaries), *self.geometry.shape), dtype=np.float32)
        for number, (particle, for_particle) in enumerate(
            zip(self.particles, seed.spawn(len(self.particles)), strict=True)
        ):
            which = np.flatnonzero(primaries.species == number)
            if len(which):
                events = primaries[which]
                images[which], _ = self.engine.images(
                    particle, events.energies, events.tracks, self.geometry, for_particle, on_event
                )
        return images, {}
