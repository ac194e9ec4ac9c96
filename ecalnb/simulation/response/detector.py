"""Detectors: named sets of effects, packaged or from a TOML file of the user's."""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np

from ..._toml import DATA, check_keys, near, read_toml
from .calibration import Calibration, Equalisation
from .effect import Effect
from .electronics import DeadChannels, Digitisation, Noise, Saturation
from .light import Attenuation, AttenuationCorrection, CrossTalk, PhotoStatistics
from .showershape import ShowerDepth, ShowerWidth

__all__ = ["EFFECTS", "Detector", "find_detector", "load_detectors"]

_ORDER: tuple[type[Effect], ...] = (
    ShowerDepth,
    ShowerWidth,
    Attenuation,
    CrossTalk,
    PhotoStatistics,
    Calibration,
    Saturation,
    Noise,
    Digitisation,
    DeadChannels,
    AttenuationCorrection,
    Equalisation,
)
EFFECTS: dict[str, type[Effect]] = {effect.name: effect for effect in _ORDER}
"""Effects by name, in the order of nature: shower, light, photomultiplier, electronics, reconstruction."""


@dataclass(frozen=True)
class Detector:
    """A detector: effects, which are put in the order of nature.

    Parameters
    ----------
    name : str
        Its name. What is random but fixed, such as gains and dead cells, follows from it.
    description : str
        One line.
    effects : tuple of Effect
        Each of another kind.
    date : date, optional
        When its values were fixed.

    Raises
    ------
    ValueError
        If there are two effects of a kind.
    """

    name: str
    description: str
    effects: tuple[Effect, ...] = ()
    date: date | None = None

    def __post_init__(self) -> None:
        names = [effect.name for effect in self.effects]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"the detector {self.name!r} has {name} {names.count(name)} times; expected it once")
        ordered = sorted(self.effects, key=lambda effect: list(EFFECTS).index(effect.name))
        object.__setattr__(self, "effects", tuple(ordered))

    @classmethod
    def from_table(cls, name: str, table: Mapping[str, Any], where: str) -> Detector:
        """Detector of a TOML table: ``description``, ``date`` and a table for each effect.

        Raises
        ------
        ValueError
            If a key is unknown or missing, or a parameter out of range; the message says ``where``.
        """
        check_keys(table, ("description", "date", *EFFECTS), where, required=("description",))
        effects = []
        for key, kind in EFFECTS.items():
            if key not in table:
                continue
            if not isinstance(table[key], dict):
                raise ValueError(f"{where}: {key} is {table[key]!r}; expected a table of its parameters")
            known = fields(kind)
            required = [field.name for field in known if field.default is field.default_factory]
            check_keys(table[key], [field.name for field in known], f"{where}, {key}", required=required)
            try:
                effects.append(kind(**table[key]))
            except ValueError as error:
                raise ValueError(f"{where}: {error}") from None
        fixed = table.get("date")
        if not (fixed is None or isinstance(fixed, date)):
            raise ValueError(f"{where}: date is {fixed!r}; expected a date such as 2026-01-31")
        return cls(name, str(table["description"]), tuple(effects), fixed)

    @property
    def checksum(self) -> str:
        """Checksum of all that the response depends on: name, effects, parameters."""
        content = [self.name, {effect.name: effect.parameters() for effect in self.effects}]
        text = json.dumps(content, sort_keys=True)
        return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()

    def describe(self) -> dict[str, Any]:
        """For metadata: the name, and a checksum of the parameters where there are any."""
        return {"detector": self.name} | ({"detector_parameters": self.checksum} if self.effects else {})

    def constants(self, effect: Effect) -> np.random.Generator:
        """Random numbers of an effect that are the same in all events, from the names of both."""
        return np.random.default_rng(zlib.crc32(f"{self.name}/{effect.name}".encode()))


def load_detectors(path: str | Path | None = None) -> dict[str, Detector]:
    """Read the detectors of a TOML file by name; the packaged ones unless told.

    Raises
    ------
    FileNotFoundError, ValueError
        If there is no such file, it is no TOML, or a key or value in it is wrong.
    """
    file = DATA / "detectors.toml" if path is None else Path(path).expanduser()
    detectors = {}
    for name, table in read_toml(file).items():
        if not isinstance(table, dict):
            raise ValueError(f"{file}: {name!r} is {table!r}; expected a table [{name}] that describes a detector")
        detectors[name] = Detector.from_table(name, table, f"{file}, [{name}]")
    return detectors


def find_detector(name: str | Path) -> Detector:
    """Find the packaged detector of a name, or the one detector of a file that ends with ``.toml``.

    Raises
    ------
    FileNotFoundError, ValueError
        If there is none, or the file describes several.
    """
    if isinstance(name, Path) or name.endswith(".toml"):
        found = load_detectors(name)
        if len(found) != 1:
            raise ValueError(f"{name} describes {len(found)} detectors ({', '.join(found)}); expected one")
        return next(iter(found.values()))
    detectors = load_detectors()
    if name not in detectors:
        known = ", ".join(detectors)
        raise ValueError(
            f"no detector is named {name!r}{near(name, detectors)}; expected one of {known}, or a .toml file"
        )
    return detectors[name]
