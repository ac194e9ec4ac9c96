"""Productions: datasets that are not files yet, but a description of what to simulate.

They stand in a datasets file (:mod:`ecalnb.datasets`), and the workflow makes their files where something needs them.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ._toml import DATA, check_keys

__all__ = ["EVENTS_A_FILE", "Production", "parameters_fingerprint"]

EVENTS_A_FILE = 20_000

_PARAMETERS = ("detectors.toml", "energy.toml", "fluxes.csv", "subdetectors.toml")
# Events of the packaged weights are those of the scale "demo": at the others, nobody has seen any.
_SEED_STEP = {"demo": 0, "smoke": 10_000_000, "paper": 20_000_000}
SETTINGS = (
    "particle", "energy", "spectrum", "angle", "reach", "engine", "detector", "keep", "homogenised", "cut", "physics",
    "importance",
)  # fmt: skip


@dataclass(frozen=True)
class Production:
    """What to simulate.

    Parameters
    ----------
    events : mapping of str to int
        Events to simulate at each scale of the notebooks, before ``keep`` of the options leaves some out.
    seed : int
        Seed of all random numbers: each file of each scale has seeds of its own, which follow from it.
    options : mapping
        Arguments of `ecalnb.simulation.simulate`.

    Raises
    ------
    ValueError
        If a number is out of its range.
    """

    events: Mapping[str, int]
    seed: int
    options: Mapping[str, Any]

    def __post_init__(self) -> None:
        if not self.events:
            raise ValueError("events is empty; expected the number of events at a scale, such as { demo = 1000 }")
        for scale, n in self.events.items():
            if not isinstance(n, int) or n < 1:
                raise ValueError(f"events at the scale {scale!r} is {n!r}; expected a positive number")
        if not isinstance(self.seed, int) or not 0 <= self.seed < 100:
            raise ValueError(f"seed is {self.seed!r}; expected a whole number from 0 to 99")

    @classmethod
    def from_toml(cls, entry: Mapping[str, Any], where: str) -> Production:
        """Read the table ``production`` of a dataset.

        Raises
        ------
        ValueError
            If a key is unknown or missing, or a number out of its range.
        """
        check_keys(entry, ("events", "seed", *SETTINGS), where, required=("events", "seed", "particle", "energy"))
        options = {key: value for key, value in entry.items() if key in SETTINGS}
        if isinstance(options["energy"], list):
            options["energy"] = tuple(options["energy"])
        return cls(entry["events"], entry["seed"], options)

    @property
    def description(self) -> str:
        """What simulates, in a sentence."""
        engine, detector = self.options.get("engine", "fast"), self.options.get("detector", "nominal")
        particle, energy = self.options["particle"], self.options["energy"]
        names = [particle] if isinstance(particle, str) else particle
        by_name = energy if isinstance(energy, Mapping) else dict.fromkeys(names, energy)
        kinds = ", ".join(f"{name} {_range(by_name[name])}" for name in names)
        spectrum = self.options.get("spectrum", -1.0)
        shape = "fluxes published by AMS" if spectrum == "ams" else f"E^{spectrum:g}"
        return f"ecalnb, engine {engine}, detector {detector}; {kinds} GeV kinetic, {shape}"

    def files(self, scale: str) -> list[str]:
        """Names of the files at a scale.

        Raises
        ------
        ValueError
            If it says nothing about the scale.
        """
        if scale not in self.events:
            raise ValueError(f"there are events for {', '.join(self.events)}, not for the scale {scale!r}")
        return [f"{scale}-{number:04d}.root" for number in range(math.ceil(self.events[scale] / EVENTS_A_FILE))]

    def arguments(self, file: str) -> dict[str, Any]:
        """Arguments of `ecalnb.simulation.simulate_to_file` for one of the files, by its name.

        Raises
        ------
        ValueError
            If it is none of them.
        """
        match = re.fullmatch(r"(\w+)-(\d{4,})\.root", file)
        if match is None or file not in self.files(match[1]):
            raise ValueError(f"{file!r} is none of the files of this production")
        number = int(match[2])
        n = min(EVENTS_A_FILE, self.events[match[1]] - number * EVENTS_A_FILE)
        return {**self.options, "n": n, "seed": _SEED_STEP.get(match[1], 30_000_000) + 100_000 * self.seed + number}


def _range(energy: float | tuple[float, float]) -> str:
    return "-".join(f"{limit:g}" for limit in energy) if isinstance(energy, tuple | list) else f"{energy:g}"


def parameters_fingerprint() -> str:
    """Hash of all that the simulation is fitted or set to, kept with the weights that were trained on its events.

    It covers the parameter files of the fast simulation, the detector response and the other subdetectors.

    Returns
    -------
    str
        32 hexadecimal digits; they change when any of the files does.
    """
    content = hashlib.blake2b(digest_size=16)
    for path in sorted([*(DATA / "simulation").iterdir(), *(DATA / name for name in _PARAMETERS)]):
        content.update(path.relative_to(DATA).as_posix().encode() + b"\0" + path.read_bytes())
    return content.hexdigest()
