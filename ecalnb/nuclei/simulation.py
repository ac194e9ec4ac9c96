"""Simulated events of nuclei."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from .._compiled import jit
from .._toml import check_keys
from .abundances import natural_fluxes
from .cross_sections import interactions
from .parameters import DOMAINS, Domain, Nucleus, Parameters, parameters, pick
from .sample import NucleiSample, concatenate
from .schema import load_nuclei_schema
from .signals import fill_event
from .straggling import straggling_table
from .transport import COMPANIONS, FIRST_INNER, PLANES, break_up, instrument

__all__ = ["BLOCK", "Beam", "simulate", "simulate_blocks"]

BLOCK = 20_000
"""Events that are drawn with random numbers of their own: the same whatever the number of events and processes."""

_LARGEST_ANGLE = 0.45  # rad, of tracks through L1 and L9
_LAST_INNER = FIRST_INNER + 6


@dataclass(frozen=True)
class Beam:
    """What arrives.

    Parameters
    ----------
    species : tuple of Nucleus
        The species.
    abundance : {"equal", "natural"}
        As many of each, with a power law in rigidity; or by their measured fluxes.
    rigidity : tuple of float
        Limits of the rigidity, GV.
    power : float
        Of the power law.

    Raises
    ------
    ValueError
        If an abundance is not known, or rigidities are not rising and positive.
    """

    species: tuple[Nucleus, ...] = field(default_factory=pick)
    abundance: str = "equal"
    rigidity: tuple[float, float] = (2.0, 2000.0)
    power: float = -1.7

    def __post_init__(self) -> None:
        if self.abundance not in ("equal", "natural"):
            raise ValueError(f"abundance is {self.abundance!r}; expected 'equal' or 'natural'")
        low, high = self.rigidity
        if not 0 < low < high < np.inf:
            raise ValueError(f"rigidities are from {low:g} to {high:g} GV; expected two rising, positive numbers")

    def draw(self, n: int, rng: np.random.Generator) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.float64]]:
        """Draw numbers of species and rigidities, GV."""
        if self.abundance == "equal":
            which = rng.integers(len(self.species), size=n)
            low, high = (limit ** (self.power + 1) for limit in self.rigidity)
            return which, (low + (high - low) * rng.random(n)) ** (1 / (self.power + 1))
        edges = np.geomspace(*self.rigidity, 241)
        middle = np.sqrt(edges[1:] * edges[:-1])
        contents = np.array([natural_fluxes(each.charge, middle) * np.diff(edges) for each in self.species])
        cell = rng.choice(contents.size, size=n, p=contents.ravel() / contents.sum())
        which, step = np.unravel_index(cell, contents.shape)
        return which, edges[step] * (edges[step + 1] / edges[step]) ** rng.random(n)


@jit
def _block(  # type: ignore[no-untyped-def]
    values, places, charge, mass, rigidity, angle, given, goldhaber, domain, gains, planes, rate, cumulative, table, rng
):
    """Fill the rows of a block of events."""
    charges, kicks, light = np.empty(PLANES), np.empty(PLANES), np.empty((COMPANIONS, 4))
    for event in range(len(charge)):
        momentum = rigidity[event] * charge[event] / mass[event]
        tilt = angle[event]
        first, n_light, inside = break_up(
            charge[event],
            mass[event],
            momentum,
            1 / np.cos(tilt),
            planes,
            rate,
            cumulative,
            goldhaber,
            charges,
            kicks,
            light,
            rng,
        )
        row = values[event]
        row[:] = np.nan
        fill_event(
            row,
            charges,
            kicks,
            light,
            n_light,
            momentum,
            inside,
            angle[event],
            given,
            domain,
            gains,
            planes,
            table,
            rng,
        )
        places[event] = 0 if first == 0 else 1 if first <= FIRST_INNER else 2 if first <= _LAST_INNER else 3
        if first == PLANES:
            places[event] = 4


def simulate_blocks(
    n: int,
    beam: Beam | None = None,
    *,
    domain: str | Domain = "mc",
    seed: int = 0,
    given: Parameters | None = None,
) -> Iterator[NucleiSample]:
    """Simulate events, a block of at most `BLOCK` at a time.

    Parameters
    ----------
    n : int
        Number of events.
    beam : Beam
        What arrives.
    domain : str or Domain
        The detector: a name of `DOMAINS`, or one of your own.
    seed : int
        The same seed gives the same events.
    given : Parameters, optional
        Numbers of the simulation; those of the package unless told.

    Raises
    ------
    ValueError
        If ``n`` is not positive, or no domain has that name.
    """
    if n < 1:
        raise ValueError(f"n is {n}; expected one event or more")
    if isinstance(domain, str):
        check_keys({domain: None}, DOMAINS, "domain")
        domain = DOMAINS[domain]
    beam, p = beam or Beam(), given or parameters()
    rate, cumulative = interactions(p.material, p.fragmentation)
    # Gains of planes are a property of the detector: the same in every run.
    gains = 1 + domain.plane_gains * np.random.default_rng(9).standard_normal(PLANES)
    detectors = p.tracker, p.tof, p.trd, p.anti_coincidence
    charges = np.array([float(each.charge) for each in beam.species])
    masses = np.array([float(each.mass_number) for each in beam.species])
    for number, start in enumerate(range(0, n, BLOCK)):
        rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(number,)))
        which, rigidity = beam.draw(BLOCK, rng)
        angle = np.arccos(1 - rng.random(BLOCK) * (1 - np.cos(_LARGEST_ANGLE)))
        size = min(BLOCK, n - start)
        which, rigidity, angle = which[:size], rigidity[:size], angle[:size]
        values = np.empty((size, len(load_nuclei_schema().columns)), dtype=np.float32)
        places = np.empty(size, dtype=np.int64)
        _block(
            values,
            places,
            charges[which],
            masses[which],
            rigidity,
            angle,
            detectors,
            p.fragmentation.goldhaber,
            domain,
            gains,
            instrument(p),
            rate,
            cumulative,
            straggling_table(),
            rng,
        )
        keys = np.column_stack([np.full(size, seed), np.arange(start, start + size)])
        yield NucleiSample(values, (), charges[which].astype(np.int64), places, rigidity, keys)


def simulate(n: int, beam: Beam | None = None, **settings: Any) -> NucleiSample:
    """Simulate events; arguments as of `simulate_blocks`."""
    return concatenate(list(simulate_blocks(n, beam, **settings)))
