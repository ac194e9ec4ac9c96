"""A hash of everything that the simulation is fitted or set to, kept with the weights that were trained on it."""

from __future__ import annotations

import hashlib

from .._toml import DATA

__all__ = ["parameters_fingerprint"]

_FILES = ("detectors.toml", "energy.toml", "fluxes.csv", "subdetectors.toml")


def parameters_fingerprint() -> str:
    """Hash of the parameter files of the fast simulation, the detector response and the other subdetectors.

    Returns
    -------
    str
        32 hexadecimal digits; they change when any of the files does.
    """
    content = hashlib.blake2b(digest_size=16)
    for path in sorted([*(DATA / "simulation").iterdir(), *(DATA / name for name in _FILES)]):
        content.update(path.relative_to(DATA).as_posix().encode() + b"\0" + path.read_bytes())
    return content.hexdigest()
