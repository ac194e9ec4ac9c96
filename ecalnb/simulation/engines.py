"""The two engines behind one function: from primaries to images."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Protocol, cast, get_args

import numpy as np
import numpy.typing as npt

from .._toml import DATA, read_toml
from ..geometry import Calorimeter, Tracks
from .electromagnetic import ENERGY_RANGE, simulate_electrons
from .electromagnetic import Particle as Electromagnetic
from .electromagnetic_parameters import PARAMETER_FILE as ELECTROMAGNETIC
from .geant4 import Geant4Settings, run_geant4
from .hadronic import HADRON_ENERGY_RANGE, Hadron, simulate_hadrons
from .hadronic import PARAMETER_FILE as HADRONIC
from .particles import Particle

__all__ = ["ENGINES", "Engine", "FastEngine", "Geant4Engine", "make_engine"]

FloatArray = npt.NDArray[np.float64]
Images = npt.NDArray[np.float32]
Truth = dict[str, FloatArray]  # columns of the event table


class Engine(Protocol):
    """What an engine can do."""

    @property
    def block(self) -> int:
        """Events that are simulated at a time."""

    @property
    def weighted(self) -> bool:
        """Whether events have weights, in the truth's column ``weight``."""

    def check(self, particle: Particle, low: float, high: float) -> None:
        """Refuse a particle or kinetic energies, GeV, that the engine cannot simulate, with a ValueError."""

    def describe(self, particle: Particle) -> dict[str, Any]:
        """For metadata."""

    def images(
        self,
        particle: Particle,
        energies: FloatArray,
        tracks: Tracks,
        geometry: Calorimeter,
        seed: np.random.SeedSequence,
        on_event: Callable[[int], None],
    ) -> tuple[Images, Truth]:
        """Cell energies, GeV, and truth of events with these kinetic energies, GeV, and tracks.

        Where the truth has weights, an event of weight 0 is none.
        """


@dataclass(frozen=True)
class Geant4Engine:
    """Geant4, in a process of its own for each block."""

    settings: Geant4Settings = field(default_factory=Geant4Settings)

    @property
    def block(self) -> int:
        """Events of a process; more with importance sampling, which ends most of them early."""
        return 500 if self.weighted else 50

    @property
    def weighted(self) -> bool:
        """Whether events have weights: with importance sampling."""
        return bool(self.settings.importance)

    def check(self, particle: Particle, low: float, high: float) -> None:
        """Accept what its models are made for: all particles, 0.1 GeV to 100 TeV."""
        if self.weighted and particle.electromagnetic:
            raise ValueError(f"importance {self.settings.importance!r} is for hadrons; got {particle.name}")
        _check_range(particle, low, high, 0.1, 1e5, "Geant4")

    def describe(self, particle: Particle) -> dict[str, Any]:
        """For metadata."""
        del particle
        return self.settings.describe()

    def images(
        self,
        particle: Particle,
        energies: FloatArray,
        tracks: Tracks,
        geometry: Calorimeter,
        seed: np.random.SeedSequence,
        on_event: Callable[[int], None],
    ) -> tuple[Images, Truth]:
        """Cell energies of a block, where hadrons interacted first, and weights; weight 0 is that of no event."""
        seeds = np.random.default_rng(seed).integers(1, 2**31, (len(energies), 2))
        events = run_geant4(
            particle.pdg, energies, tracks, seeds, self.settings, geometry, on_event=lambda: on_event(1)
        )
        truth: Truth = {} if particle.electromagnetic else {"interaction_depth": events.interaction_depth}
        return events.images, truth | ({"weight": events.weight} if self.weighted else {})


@dataclass(frozen=True)
class FastEngine:
    """The parameterised simulation of this package."""

    block: int = 1000
    weighted: bool = False

    def check(self, particle: Particle, low: float, high: float) -> None:
        """Accept electrons, positrons, photons and hadrons within the ranges of the two models."""
        if not particle.electromagnetic and particle.name not in get_args(Hadron):
            known = ", ".join(("electron", "positron", "photon", *get_args(Hadron)))
            raise ValueError(
                f"the engine 'fast' has no {particle.name}; expected one of {known}, or the engine 'geant4'"
            )
        limits = ENERGY_RANGE if particle.electromagnetic else HADRON_ENERGY_RANGE
        _check_range(particle, low, high, *limits, "the engine 'fast'")

    def describe(self, particle: Particle) -> dict[str, Any]:
        """For metadata: the parameters, by a checksum of their files, and the energies that they were fitted to."""
        known = ELECTROMAGNETIC if particle.electromagnetic else HADRONIC
        return {"engine": "fast", "parameters": _checksum(), "fitted_gev": _fitted(known), "beyond": "extrapolated"}

    def images(
        self,
        particle: Particle,
        energies: FloatArray,
        tracks: Tracks,
        geometry: Calorimeter,
        seed: np.random.SeedSequence,
        on_event: Callable[[int], None],
    ) -> tuple[Images, Truth]:
        """Cell energies of a block, and where hadrons interacted first."""
        generator = np.random.default_rng(seed)
        truth: Truth = {}
        if particle.electromagnetic:
            name = cast(Electromagnetic, particle.name)
            images = simulate_electrons(energies, tracks, geometry, generator, name)
        else:
            images, depths = simulate_hadrons(
                cast(Hadron, particle.name), energies, tracks, geometry, generator, return_truth=True
            )
            truth["interaction_depth"] = depths
        on_event(len(images))
        return images, truth


@cache
def _fitted(file: Path) -> list[float]:
    """Lowest and highest energy of the events that parameters were fitted to, GeV."""
    if file == ELECTROMAGNETIC:
        return list(json.loads(file.read_text())["fitted_to"]["momentum_gev"])
    return list(read_toml(file)["fitted_to"]["kinetic_energy"])


@cache
def _checksum() -> str:
    files = sorted((DATA / "simulation").iterdir())
    return hashlib.blake2b(b"".join(file.read_bytes() for file in files), digest_size=8).hexdigest()


ENGINES: dict[str, Callable[..., Engine]] = {"fast": FastEngine, "geant4": Geant4Engine}


def make_engine(name: str, **settings: Any) -> Engine:
    """Engine of a name.

    Parameters
    ----------
    name : {"fast", "geant4"}
        The engine.
    **settings
        Those of :class:`~ecalnb.simulation.geant4.Geant4Settings`; the fast engine has none.

    Raises
    ------
    ValueError
        If there is no such engine, or it has no such setting.
    """
    if name not in ENGINES:
        raise ValueError(f"engine {name!r} is not one of {', '.join(map(repr, ENGINES))}")
    if name == "geant4":
        return Geant4Engine(Geant4Settings(**settings))
    if settings:
        raise ValueError(f"the engine 'fast' has no setting {', '.join(settings)}; they belong to 'geant4'")
    return FastEngine()


def _check_range(particle: Particle, low: float, high: float, least: float, most: float, who: str) -> None:
    for energy in (low, high):
        if not least <= energy <= most:
            raise ValueError(
                f"{particle.name} with a kinetic energy of {energy:g} GeV is out of the range of {who}, {least:g} to "
                f"{most:g} GeV"
            )
