"""Parameters of the subdetectors: ``data/subdetectors.toml``, which gives the source of each."""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import cache
from typing import Any

from ..._toml import DATA, check_keys, read_toml

__all__ = ["PARAMETER_FILE", "Parameters", "TofParameters", "TrackerParameters", "TrdParameters", "parameters"]

PARAMETER_FILE = DATA / "subdetectors.toml"


@dataclass(frozen=True)
class TrackerParameters:
    """The silicon tracker; the file explains each."""

    layer_z: tuple[float, ...]
    ecal_z: float
    bending_resolution: float
    straight_resolution: float
    field: float
    field_half_height: float
    spans: tuple[str, ...]
    mdr: tuple[float, ...]
    mdr_nuclei: tuple[float, ...]
    scattering: float
    tail_fraction: float
    tail_width: float
    wrong_hits_light: float
    wrong_hits_heavy: float
    wrong_hits_power: float
    wrong_hits_spread: float
    radiator: float
    inner_efficiency: float
    outer_efficiency: float
    scatterers: tuple[tuple[float, float], ...]
    signal_width: float
    signal_noise: float
    more_tracks_light: float
    more_tracks_heavy: float


@dataclass(frozen=True)
class TrdParameters:
    """The transition radiation detector; the file explains each."""

    layers: int
    ionisation: float
    width: float
    plateau: float
    plateau_gamma: float
    photons: float
    photon_energy: float
    photon_shape: float
    onset_gamma: float
    onset_power: float
    saturation: float
    efficiency: float
    least_hits: int
    off_track_light: float
    off_track_heavy: float


@dataclass(frozen=True)
class TofParameters:
    """Time of flight and anti-coincidence counters; the file explains each."""

    plane_z: tuple[float, ...]
    time_light: float
    time_floor: float
    efficiency: float
    signal_width: float
    signal_noise: float
    counters: int
    accidental: float
    splash_light: float
    splash_heavy: float
    splash_power: float


@dataclass(frozen=True)
class Parameters:
    """All of them."""

    tracker: TrackerParameters
    trd: TrdParameters
    tof: TofParameters


_TABLES = {"tracker": TrackerParameters, "trd": TrdParameters, "tof": TofParameters}


@cache
def parameters() -> Parameters:
    """Read the packaged file.

    Raises
    ------
    ValueError
        If a parameter is missing or unknown.
    """
    content = read_toml(PARAMETER_FILE)
    check_keys(content, _TABLES, str(PARAMETER_FILE), required=_TABLES)
    made = {}
    for name, kind in _TABLES.items():
        names = [field.name for field in fields(kind)]
        check_keys(content[name], names, f"{PARAMETER_FILE}, [{name}]", required=names)
        made[name] = kind(**{key: _frozen(value) for key, value in content[name].items()})
    return Parameters(**made)


def _frozen(value: Any) -> Any:
    return tuple(_frozen(item) for item in value) if isinstance(value, list) else value
