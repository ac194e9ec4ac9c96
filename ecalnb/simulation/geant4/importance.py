"""Importance sampling of protons that look like electrons: which events Geant4 follows to the end, and their weights.

A proton fools a classifier by an early first interaction after which nearly all that shows is the narrow shower of a
few photons. Such events are a few per mille, and their transport is no dearer than that of the others, on which nearly
all the time goes. So the transport stops twice, and only a part of the events goes on, by chance ("Russian roulette";
H. Kahn and T. E. Harris, NBS Applied Mathematics Series 12 (1951) 27):

1. when the primary has ended, with the depth of its inelastic interaction known;
2. when all fast hadrons have ended, and the photons, electrons and slow particles that they made are still to be
   followed: with what the hadrons left, and the energies, places and directions of those photons and electrons.

An event that goes on with the probability p gets the weight 1/p. Weighted sums are unbiased whatever p is, as long as
it is above 0 and depends only on what has been simulated so far; p decides how well they are known.
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass, field

__all__ = [
    "EARLY",
    "FAST",
    "IMPORTANCES",
    "Chance",
    "Skeleton",
    "probability_after_hadrons",
    "probability_after_primary",
]

IMPORTANCES = ("emlike",)
"""Kinds of importance sampling, by name."""

EARLY = 45.0
"""Depth in mm up to which an interaction may look like the start of an electron's shower: five layers."""

CORE_RADIUS = 9.0  # mm, one cell, from the primary's line...
CORE_AHEAD = 50.0  # ...so many mm further along the photon: five radiation lengths, about the shower's maximum
RECORDED = 10.0  # MeV; slower photons and electrons count for nothing

FAST = 200.0
"""Kinetic energy in MeV above which hadrons go first. Slow neutrons take as long as photons, and show little."""

CROSSING, LATE = 0.01, 0.02
LEAST, ALL_FROM, NONE_BELOW = 0.04, 0.9, 0.6  # probabilities, and shares of the core between which they rise
ENERGIES = 4.0, 120.0  # GeV that will show; other events are not worth their time


def probability_after_primary(depth: float) -> float:
    """Probability of going on after the end of the primary.

    Parameters
    ----------
    depth : float
        Depth of its inelastic interaction, mm; NaN where it had none.
    """
    if math.isnan(depth):
        return CROSSING
    return 1.0 if depth < EARLY else LATE


def probability_after_hadrons(core: float, electromagnetic: float, hadronic: float) -> float:
    """Probability of going on after all fast hadrons have ended.

    Parameters
    ----------
    core : float
        Energy of photons, electrons and positrons that start early and stay near the primary's line, GeV.
    electromagnetic : float
        Energy of all of them, GeV.
    hadronic : float
        Visible energy that fast hadrons have left, GeV.
    """
    energy = electromagnetic + hadronic
    if not ENERGIES[0] <= energy <= ENERGIES[1]:
        return LEAST
    rise = (core / energy - NONE_BELOW) / (ALL_FROM - NONE_BELOW)
    return float(LEAST ** (1 - min(max(rise, 0.0), 1.0)))


@dataclass
class Skeleton:
    """What the hadrons of an event have made, added up while Geant4 follows them.

    Parameters
    ----------
    x, y : float
        Where the primary passes the front face, mm.
    slope_x, slope_y : float
        Its direction, dx/dz and dy/dz.
    """

    x: float
    y: float
    slope_x: float
    slope_y: float
    core: float = 0.0
    electromagnetic: float = 0.0

    def add(self, energy: float, position: tuple[float, float, float], direction: tuple[float, float, float]) -> None:
        """Add a photon, electron or positron.

        Parameters
        ----------
        energy : float
            Kinetic energy, MeV.
        position : tuple of float
            Where it starts: x, y, depth, mm.
        direction : tuple of float
            Unit vector.
        """
        if energy < RECORDED:
            return
        energy *= 1e-3
        self.electromagnetic += energy
        x, y, z = (at + CORE_AHEAD * along for at, along in zip(position, direction, strict=True))
        aside = math.hypot(x - self.x - self.slope_x * z, y - self.y - self.slope_y * z)
        if position[2] < EARLY and direction[2] > 0 and aside < CORE_RADIUS:
            self.core += energy


@dataclass
class Chance:
    """Russian roulette for one event.

    Parameters
    ----------
    seed : str
        Seed of its random numbers, which are not those of the transport.
    weight : float
        Weight so far.
    """

    seed: str
    weight: float = 1.0
    generator: random.Random = field(init=False)

    def __post_init__(self) -> None:
        self.generator = random.Random(self.seed)

    def goes_on(self, probability: float) -> bool:
        """Whether the event goes on, which it does with this probability; its weight becomes what it has to be."""
        goes_on = self.generator.random() < probability
        self.weight = self.weight / probability if goes_on else 0.0
        return goes_on
