"""From the secondaries that Geant4 hands over to the entries of the library of interactions."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from .decays import MASS, decay_to_stable
from .interactions import KINDS
from .responses import SPECIES

__all__ = ["SLOW_ENERGIES", "Secondaries", "is_light", "representative", "sort_secondaries"]

SLOW_ENERGIES = {
    "neutron": (0.125e-3, 0.25e-3, 0.5e-3, 1e-3, 2e-3, 4e-3, 8e-3, 16e-3, 32e-3),
    "gamma": (0.125e-3, 0.25e-3, 0.5e-3, 1e-3, 2e-3, 4e-3, 8e-3, 16e-3, 32e-3),
    "proton": (2.5e-3, 5e-3, 10e-3, 20e-3, 40e-3),
    "deuteron": (5e-3, 10e-3, 20e-3, 40e-3),
    "alpha": (5e-3, 10e-3, 20e-3, 40e-3),
}
"""Energies, GeV, of the responses that slow secondaries are drawn from."""

# Kinetic energies, GeV, up to which a secondary is slow: half a step above the last response.
_SLOW_UP_TO = {2112: ("neutron", 0.045), 22: ("gamma", 0.045), 2212: ("proton", 0.055)}
_KIND = {2212: "p", 2112: "n", 211: "pi+", -211: "pi-", 321: "K+", -321: "K-", 130: "K0L", 310: "K0S", -2212: "pbar"}
_KIND |= {-2112: "nbar", 22: "gamma", 111: "pi0", 11: "gamma", -11: "gamma"}
# Hyperons, charmed and bottom hadrons are taken for the stable hadron that is nearest in charge and kind.
_KIND |= {3222: "p", 3112: "pi-", 3312: "pi-", 3334: "pi-", 411: "K+", -411: "K-", 431: "K+", -431: "K-"}
_KIND |= {421: "K0L", -421: "K0L", 511: "K0L", -511: "K0L", 521: "K+", -521: "K-"}
_IGNORED = {12, 13, 14, 15, 16}  # of weak decays of short-lived hadrons: hardly any
_LIGHTEST_HEAVY = 19  # nucleons: oxygen and a nucleon more


@dataclass
class Secondaries:
    """Entries of the library; see :func:`ecalnb.simulation.interactions.pack_interactions`."""

    light: list[bool] = field(default_factory=list)
    n_fast: list[int] = field(default_factory=list)
    n_slow: list[int] = field(default_factory=list)
    fast: list[tuple[int, float, float, float]] = field(default_factory=list)
    slow: list[tuple[int, int]] = field(default_factory=list)

    def columns(self) -> dict[str, Any]:
        """As the arrays that are packed."""
        fast = np.array(self.fast, dtype=float).reshape(-1, 4)
        slow = np.array(self.slow, dtype=int).reshape(-1, 2)
        names = ("kind", "kinetic", "theta", "phi")
        columns: dict[str, Any] = {"light": self.light, "n_fast": self.n_fast, "n_slow": self.n_slow}
        columns |= {name: fast[:, i] for i, name in enumerate(names)}
        return columns | {"species": slow[:, 0], "bin": slow[:, 1]}


def _nucleons(pdg: int) -> int:
    if pdg > 1_000_000_000:
        return pdg // 10 % 1000
    return int(pdg in (2112, 2212))


def is_light(pdg: npt.NDArray[np.int64]) -> bool:
    """Whether secondaries are those of an interaction with hydrogen, carbon or oxygen, by their number of nucleons."""
    return sum(_nucleons(int(code)) for code in pdg) < _LIGHTEST_HEAVY


def _kind(pdg: int) -> str | None:
    """Name in `KINDS` of a fast secondary; None if it leaves nothing."""
    if pdg in _KIND:
        return _KIND[pdg]
    if abs(pdg) in _IGNORED:
        return None
    if pdg < 0:
        return "nbar" if abs(pdg) > 1000 else "K0L"
    return "Lambda" if pdg > 1000 else "K0L"


def _slow(name: str, kinetic: float, generator: np.random.Generator) -> tuple[int, int] | None:
    """Species and one of the two energies beside ``kinetic``; None below what leaves anything."""
    energies = np.array(SLOW_ENERGIES[name])
    if kinetic < 0.6 * energies[0]:
        return None
    place = np.interp(np.log(kinetic), np.log(energies), np.arange(len(energies)))
    return SPECIES.index(name), int(place + generator.random())


def representative(
    event: npt.NDArray[np.int64],
    pdg: npt.NDArray[np.int64],
    kinetic: npt.NDArray[np.float64],
    n: int,
) -> npt.NDArray[np.int64]:
    """Choose interactions that stand for more of them: every so many in the order of their electromagnetic energy.

    What a hadron leaves depends on that energy more than on anything else. So chosen, its mean and its distribution are
    those of all interactions, without the fluctuation of a small sample.

    Parameters
    ----------
    event : array of int, shape (n_secondaries,)
        Number of the interaction of each secondary, ascending from 0 without gaps.
    pdg, kinetic : array, shape (n_secondaries,)
        Particle numbers, and kinetic energies in GeV.
    n : int
        How many to choose; all if there are no more.

    Returns
    -------
    array of int
        Numbers of the chosen interactions, ascending.
    """
    electromagnetic = np.isin(pdg, (111, 22, 221))
    energy = np.bincount(event, np.where(electromagnetic, kinetic, 0.0))
    if len(energy) <= n:
        return np.arange(len(energy))
    places = ((np.arange(n) + 0.5) * (len(energy) / n)).astype(int)
    return np.sort(np.argsort(energy, kind="stable")[places])


def sort_secondaries(
    into: Secondaries,
    pdg: npt.NDArray[np.int64],
    kinetic: npt.NDArray[np.float64],
    direction: npt.NDArray[np.float64],
    generator: np.random.Generator,
) -> None:
    """Append one interaction to a collection.

    Parameters
    ----------
    into : Secondaries
        Appended to.
    pdg : array of int, shape (n,)
        Particle numbers of the secondaries.
    kinetic : array, shape (n,)
        Kinetic energies, GeV.
    direction : array, shape (n, 3)
        Unit vectors; the projectile comes along the third axis.
    generator : numpy.random.Generator
        For decays of eta, eta', omega and Sigma0, and for the energies of slow secondaries.
    """
    fast: list[tuple[int, float, float, float]] = []
    slow: list[tuple[int, int] | None] = []

    def add(code: int, energy: float, axis: npt.NDArray[np.float64]) -> None:
        if code in _SLOW_UP_TO and energy < _SLOW_UP_TO[code][1]:
            slow.append(_slow(_SLOW_UP_TO[code][0], energy, generator))
        elif (kind := _kind(code)) is not None:
            theta, phi = np.arctan2(np.hypot(axis[0], axis[1]), axis[2]), np.arctan2(axis[1], axis[0])
            fast.append((KINDS.index(kind), float(energy), float(theta), float(phi)))

    for code, energy, axis in zip(pdg.tolist(), kinetic, direction, strict=True):
        if code > 1_000_000_000:
            charge, mass_number = code // 10_000 % 1000, code // 10 % 1000
            if charge == 1 and energy >= _SLOW_UP_TO[2212][1]:
                add(2212, 0.7 * energy, axis)  # a fast deuteron or triton has about the range of such a proton
            elif charge == 1:
                slow.append(_slow("deuteron", energy, generator))
            elif mass_number < _LIGHTEST_HEAVY:
                slow.append(_slow("alpha", energy, generator))
        elif code in MASS and code not in (22, 111, 211, -211, 3122, -3122):
            momentum = np.sqrt(energy * (energy + 2 * MASS[code]))
            parent = np.concatenate([[energy + MASS[code]], momentum * axis])
            for product, vector in decay_to_stable(code, parent, generator):
                size = float(np.linalg.norm(vector[1:]))
                add(product, max(vector[0] - MASS[product], 0.0), vector[1:] / max(size, 1e-12))
        else:
            add(code, energy, axis)
    kept = sorted(item for item in slow if item is not None)
    into.light.append(is_light(pdg))
    into.n_fast.append(len(fast))
    into.n_slow.append(len(kept))
    into.fast += sorted(fast, key=lambda item: -item[1])
    into.slow += kept
