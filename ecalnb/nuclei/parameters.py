"""Numbers of the simulation of nuclei: ``data/nuclei.toml``, which gives the source of each."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields, replace
from functools import cache
from typing import Any, NamedTuple

from .._toml import DATA, check_keys, near, read_toml

__all__ = ["DOMAINS", "PARAMETER_FILE", "SPECIES", "Domain", "Nucleus", "Parameters", "nucleus", "parameters", "pick"]
__all__ += ["varied"]

PARAMETER_FILE = DATA / "nuclei.toml"


class Nucleus(NamedTuple):
    """A species: its symbol, charge and mass number."""

    name: str
    charge: int
    mass_number: int


class Material(NamedTuple):
    """What the instrument is made of, and how much of it there is (g/cm2); the file explains each."""

    shares: tuple[float, ...]
    mass_numbers: tuple[int, ...]
    charges: tuple[int, ...]
    above_l1: float
    l1_support: float
    trd: float
    upper_tof: float
    l2: float
    inner: float
    lower_tof: float
    rich_l9: float


class Fragmentation(NamedTuple):
    """Cross-sections and what comes of a break-up; the file explains each."""

    radius: float
    overlap: float
    helium_share: float
    goldhaber: float


class Tracker(NamedTuple):
    """The silicon tracker; the file explains each."""

    layer_z: tuple[float, ...]
    straggling: float
    largest_transfer: float
    gain_spread: float
    noise: float
    saturation_x: float
    saturation_y: float
    inner_efficiency: float
    outer_efficiency: float
    resolution_x: float
    resolution_y: float
    scattering_inner: float
    scattering_outer: float
    mdr: tuple[float, ...]
    scattering: float
    window: float
    merge: float
    noise_hits: float
    delta_hits: float
    light_efficiency: float
    strips: float
    strips_growth: float


class Tof(NamedTuple):
    """The time of flight; the file explains each."""

    plane_z: tuple[float, ...]
    straggling: float
    largest_transfer: float
    gain_spread: float
    noise: float
    saturation: float
    efficiency: float
    window: float
    noise_hits: float
    time_light: float
    time_floor: float


class Trd(NamedTuple):
    """The transition radiation detector; the file explains each."""

    top_z: float
    bottom_z: float
    straggling: float
    largest_transfer: float
    gain_spread: float
    noise: float
    plateau: float
    plateau_gamma: float
    saturation: float
    efficiency: float
    window: float
    noise_hits: float
    delta_hits: float
    light_efficiency: float


class AntiCoincidence(NamedTuple):
    """The counters around the inner tracker; the file explains each."""

    accidental: float
    fragments: float


class Domain(NamedTuple):
    """How one detector differs from another; the file explains each."""

    spread: float
    noise: float
    saturation: float
    gain: float
    plane_gains: float
    lost: float


@dataclass(frozen=True)
class Parameters:
    """All numbers of the simulation.

    Parameters
    ----------
    material, fragmentation, tracker, tof, trd, anti_coincidence
        The tables of the file.
    """

    material: Material
    fragmentation: Fragmentation
    tracker: Tracker
    tof: Tof
    trd: Trd
    anti_coincidence: AntiCoincidence


_KINDS: dict[str, type] = {
    "material": Material,
    "fragmentation": Fragmentation,
    "tracker": Tracker,
    "tof": Tof,
    "trd": Trd,
    "anti_coincidence": AntiCoincidence,
}


def _make(kind: Any, entry: dict[str, Any], where: str) -> Any:
    check_keys(entry, kind._fields, where, required=kind._fields)
    return kind(**{key: tuple(value) if isinstance(value, list) else value for key, value in entry.items()})


@cache
def parameters() -> Parameters:
    """Read the numbers of the packaged file."""
    content = read_toml(PARAMETER_FILE)
    check_keys(content, (*_KINDS, "species", "domains", "split"), str(PARAMETER_FILE))
    return Parameters(**{key: _make(kind, content[key], f"[{key}]") for key, kind in _KINDS.items()})


SPECIES: dict[str, Nucleus] = {
    name: Nucleus(name, charge, mass) for name, (charge, mass) in read_toml(PARAMETER_FILE)["species"].items()
}
"""Known species by symbol, in the order of their charges."""

DOMAINS: dict[str, Domain] = {
    name: _make(Domain, entry, f"[domains.{name}]") for name, entry in read_toml(PARAMETER_FILE)["domains"].items()
}
"""Detectors by name."""


def nucleus(name: str) -> Nucleus:
    """Look up a species.

    Raises
    ------
    ValueError
        If it is not known.
    """
    if name not in SPECIES:
        raise ValueError(f"no species is named {name!r}; expected one of {', '.join(SPECIES)}{near(name, SPECIES)}")
    return SPECIES[name]


def pick(names: Iterable[str] | None = None) -> tuple[Nucleus, ...]:
    """Look up several species, all unless told, in the order of their charges.

    Raises
    ------
    ValueError
        If one is not known, is named twice, or there is none.
    """
    found = [nucleus(name) for name in (SPECIES if names is None else names)]
    if not found:
        raise ValueError("there are no species; expected one or more, such as F, Ne")
    if len(set(found)) < len(found):
        raise ValueError(f"species are {', '.join(each.name for each in found)}; expected each once")
    return tuple(sorted(found, key=lambda each: each.charge))


def varied(given: Parameters, **changes: Any) -> Parameters:
    """Change tables of the parameters: ``varied(p, tracker={"gain_spread": 0.05})``.

    Raises
    ------
    ValueError
        If there is no such table or number.
    """
    check_keys(changes, [field.name for field in fields(given)], "changes of the parameters")
    for table, values in changes.items():
        check_keys(values, getattr(given, table)._fields, f"changes of {table}")
    return replace(given, **{table: getattr(given, table)._replace(**values) for table, values in changes.items()})
