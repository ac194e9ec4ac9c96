"""Inelastic interactions of hadrons: a packaged library of final states that Geant4 made.

The library holds, for several projectiles and kinetic energies, the secondaries of single interactions in the
calorimeter's mixture of lead, polystyrene and glue (:mod:`ecalnb.simulation.geant4.interactions` records them). Whether
a proton looks electromagnetic is decided by the final state of its first interaction, with all its correlations: events
have them, a parameterisation has those its author thought of.

Two kinds of secondaries are kept apart. Fast ones, which are followed further, have a kind, a kinetic energy and a
direction. Slow ones (neutrons and photons below 32 MeV, protons and nuclei below 40 MeV a nucleon or so) are only a
code for a response of :mod:`ecalnb.simulation.responses`.
"""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from .._compiled import jit
from .._toml import DATA

__all__ = [
    "CHARGES",
    "KINDS",
    "MASSES",
    "PROJECTILES",
    "Interactions",
    "draw_interaction",
    "interaction_length",
    "load_interactions",
    "pack_interactions",
]

KINDS = ("p", "n", "pi+", "pi-", "K+", "K-", "K0L", "K0S", "pbar", "nbar", "Lambda", "gamma", "pi0")
"""What is followed. Other hyperons and charmed hadrons are taken for the nearest of these."""

MASSES = np.array(
    [
        *(0.938272, 0.939565, 0.139570, 0.139570, 0.493677, 0.493677, 0.497611, 0.497611),
        *(0.938272, 0.939565, 1.115683, 0.0, 0.134977),
    ]
)
"""GeV, of `KINDS` (Particle Data Group 2024)."""

CHARGES = np.array([1, 0, 1, -1, 1, -1, 0, 0, -1, 0, 0, 0, 0])
"""Of `KINDS`."""

PROJECTILES = ("p", "n", "pi+", "pi-", "K+", "K-", "K0L", "pbar")
"""What the library has interactions of."""

PROJECTILE_OF = np.array([0, 1, 2, 3, 4, 5, 6, 6, 7, 7, 1, -1, -1])
"""Index in `PROJECTILES` whose interactions stand for those of each of `KINDS`; -1: none."""

PATH = Path(DATA) / "simulation" / "interactions_ftfp_bert.npz"
_KINETIC_FLOOR, _KINETIC_STEP = 1e-3, 0.01
_THETA_FLOOR, _THETA_STEP = 1e-6, 0.02
_PHI_LEVELS = 64


class Interactions(NamedTuple):
    """A library of interactions, flat, as compiled loops want it.

    Parameters
    ----------
    set_first, set_count : array, shape (n_projectiles,)
        Where the energies of a projectile begin in the arrays of sets, and how many there are.
    energy : array, shape (n_sets,)
        Kinetic energy of the projectile, GeV, ascending within a projectile.
    length : array, shape (n_sets,)
        Inelastic interaction length in the calorimeter, mm.
    event_first, event_count : array, shape (n_sets,)
        Where the interactions of a set begin, and how many there are.
    light : array of bool, shape (n_events,)
        Whether the target was light: hydrogen, carbon or oxygen, so that the vertex is in a fibre or in glue.
    fast_first : array, shape (n_events + 1,)
        Where the fast secondaries of an interaction begin.
    kind : array, shape (n_fast,)
        Index in `KINDS`.
    kinetic, theta, phi : array, shape (n_fast,)
        Kinetic energy, GeV, and direction with respect to the projectile, rad.
    slow_first : array, shape (n_events + 1,)
        Where the slow secondaries of an interaction begin.
    species, bin : array, shape (n_slow,)
        Index in :data:`~ecalnb.simulation.responses.SPECIES`, and of its energies.
    """

    set_first: npt.NDArray[np.int64]
    set_count: npt.NDArray[np.int64]
    energy: npt.NDArray[np.float64]
    length: npt.NDArray[np.float64]
    event_first: npt.NDArray[np.int64]
    event_count: npt.NDArray[np.int64]
    light: npt.NDArray[np.bool_]
    fast_first: npt.NDArray[np.int64]
    kind: npt.NDArray[np.uint8]
    kinetic: npt.NDArray[np.float64]
    theta: npt.NDArray[np.float64]
    phi: npt.NDArray[np.float64]
    slow_first: npt.NDArray[np.int64]
    species: npt.NDArray[np.uint8]
    bin: npt.NDArray[np.uint8]


@jit
def interaction_length(library: Interactions, projectile: int, kinetic: float) -> float:  # pragma: no cover - compiled
    """Inelastic interaction length, mm, between library energies by their logarithm; constant beyond the ends."""
    first = library.set_first[projectile]
    last = first + library.set_count[projectile] - 1
    if kinetic <= library.energy[first]:
        return library.length[first]
    for index in range(first, last):
        if kinetic <= library.energy[index + 1]:
            low, high = library.energy[index], library.energy[index + 1]
            share = np.log(kinetic / low) / np.log(high / low)
            return library.length[index] * (1 - share) + library.length[index + 1] * share
    return library.length[last]


@jit
def draw_interaction(
    library: Interactions, projectile: int, kinetic: float, generator: np.random.Generator
) -> tuple[int, float]:  # pragma: no cover - compiled
    """Draw an interaction of one of the two energies beside ``kinetic`` (GeV), by their distance in its logarithm.

    Returns
    -------
    event : int
        Index of the interaction.
    energy : float
        Kinetic energy that its projectile had, GeV.
    """
    first = library.set_first[projectile]
    last = first + library.set_count[projectile] - 1
    chosen = first
    while chosen < last and library.energy[chosen + 1] < kinetic:
        chosen += 1
    if chosen < last and kinetic > library.energy[chosen]:
        share = np.log(kinetic / library.energy[chosen]) / np.log(library.energy[chosen + 1] / library.energy[chosen])
        if generator.random() < share:
            chosen += 1
    event = library.event_first[chosen] + int(generator.random() * library.event_count[chosen])
    return event, library.energy[chosen]


def _planes(code: npt.NDArray[np.uint16], name: str) -> dict[str, npt.NDArray[np.uint8]]:
    """High and low bytes apart: they compress better."""
    return {f"{name}_high": (code >> 8).astype(np.uint8), f"{name}_low": (code & 255).astype(np.uint8)}


def _code(value: npt.NDArray[np.float64], floor: float, step: float) -> npt.NDArray[np.uint16]:
    return np.rint(np.log(np.maximum(value, floor) / floor) / step).astype(np.uint16)


def pack_interactions(
    path: str | Path,
    sets: dict[tuple[str, float], dict[str, Any]],
    provenance: dict[str, Any],
) -> None:
    """Write a library of interactions, quantised: kinetic energies in steps of 1 %, polar angles of 2 %.

    Parameters
    ----------
    path : path
        File to write, ``.npz``.
    sets : dict
        For each (projectile, kinetic energy in GeV): ``length`` (mm), ``light`` (n_events,), ``n_fast``, ``n_slow``
        (n_events,), ``kind``, ``kinetic``, ``theta``, ``phi`` (n_fast in all,), ``species``, ``bin`` (n_slow in all,).
    provenance : dict
        How they were made; it must be JSON.

    Raises
    ------
    ValueError
        If a projectile is unknown, or one of `PROJECTILES` has no interactions.
    """
    if unknown := {name for name, _ in sets} - set(PROJECTILES):
        raise ValueError(f"projectiles {', '.join(sorted(unknown))} are not among {', '.join(PROJECTILES)}")
    if missing := set(PROJECTILES) - {name for name, _ in sets}:
        raise ValueError(f"the library has no interactions of {', '.join(sorted(missing))}")
    order = sorted(sets, key=lambda key: (PROJECTILES.index(key[0]), key[1]))
    parts = [sets[key] for key in order]

    def joined(name: str, dtype: type) -> npt.NDArray[Any]:
        return np.concatenate([np.asarray(part[name]) for part in parts]).astype(dtype)

    phi = np.floor(np.mod(joined("phi", float), 2 * np.pi) / (2 * np.pi) * _PHI_LEVELS).astype(np.uint8) % _PHI_LEVELS
    kinetic = _planes(_code(joined("kinetic", float), _KINETIC_FLOOR, _KINETIC_STEP), "kinetic")
    theta = _planes(_code(joined("theta", float), _THETA_FLOOR, _THETA_STEP), "theta")
    arrays: dict[str, Any] = kinetic | theta
    np.savez_compressed(
        path,
        projectile=np.array([PROJECTILES.index(name) for name, _ in order], dtype=np.uint8),
        energy=np.array([energy for _, energy in order]),
        length=np.array([part["length"] for part in parts]),
        n_events=np.array([len(part["light"]) for part in parts]),
        light=np.packbits(joined("light", bool)),
        n_fast=joined("n_fast", np.uint16),
        n_slow=joined("n_slow", np.uint16),
        kind=joined("kind", np.uint8),
        **arrays,
        phi=phi,
        slow=(joined("species", np.uint8) * 16 + joined("bin", np.uint8)).astype(np.uint8),
        provenance=np.array(json.dumps(provenance)),
    )


def _starts(counts: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
    return np.concatenate([[0], np.cumsum(counts, dtype=np.int64)])


@lru_cache(maxsize=2)
def load_interactions(path: str | Path = PATH) -> Interactions:
    """Read a library of interactions."""
    with np.load(path) as data:
        sets_of = np.bincount(data["projectile"], minlength=len(PROJECTILES))
        n_events = data["n_events"].astype(np.int64)

        def values(name: str, floor: float, step: float) -> npt.NDArray[np.float64]:
            code = (data[f"{name}_high"].astype(np.uint16) << 8) + data[f"{name}_low"]
            return floor * np.exp(step * code)

        return Interactions(
            set_first=_starts(sets_of)[:-1],
            set_count=sets_of.astype(np.int64),
            energy=data["energy"],
            length=data["length"],
            event_first=_starts(n_events)[:-1],
            event_count=n_events,
            light=np.unpackbits(data["light"], count=int(n_events.sum())).astype(bool),
            fast_first=_starts(data["n_fast"]),
            kind=data["kind"],
            kinetic=values("kinetic", _KINETIC_FLOOR, _KINETIC_STEP),
            theta=values("theta", _THETA_FLOOR, _THETA_STEP),
            phi=(data["phi"] + 0.5) * (2 * np.pi / _PHI_LEVELS),
            slow_first=_starts(data["n_slow"]),
            species=data["slow"] >> 4,
            bin=data["slow"] & 15,
        )
