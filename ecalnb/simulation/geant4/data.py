"""Where Geant4 finds its data: the official data sets, or reduced ones written from formulas."""

from __future__ import annotations

import logging
import os
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

from ... import _atomic

__all__ = ["DATASETS", "DataDirectory", "data_directory"]

log = logging.getLogger(__name__)

DATASETS = (
    "G4EMLOW8.8", "G4PARTICLEXS4.2", "G4ENSDFSTATE3.0", "PhotonEvaporation6.1.2", "RadioactiveDecay6.1.2",
    "G4NDL4.7.1", "G4PII1.3", "RealSurface2.2", "G4SAIDDATA2.0", "G4ABLA3.3", "G4INCL1.3", "G4CHANNELING2.0",
)  # fmt: skip
"""Data sets of Geant4 11.4, which geant4-pybind 0.1.3 contains."""

# A file that only the official data sets have, the reduced ones holding a few elements; and files that showers need.
OFFICIAL = "G4EMLOW8.8/brem_SB/br92"
USED = ("G4EMLOW8.8/brem_SB/br82", "G4PARTICLEXS4.2/neutron/inel82", "G4ENSDFSTATE3.0/ENSDFSTATE.dat")
REDUCED_VERSION = 1


@dataclass(frozen=True)
class DataDirectory:
    """Directory that GEANT4_DATA_DIR points at, and what is in it: "official" or "reduced" data sets."""

    path: Path
    kind: Literal["official", "reduced"]

    @property
    def description(self) -> str:
        """For metadata."""
        return "official data sets" if self.kind == "official" else "reduced data sets, written from formulas"


def data_directory() -> DataDirectory:
    """Directory of the Geant4 data.

    That is ``GEANT4_DATA_DIR`` where it is set. Otherwise reduced data sets are written, once, into the user's cache,
    and the log says so.

    Raises
    ------
    ValueError
        If ``GEANT4_DATA_DIR`` is not a directory, or lacks data sets; the message names them.
    """
    if given := os.environ.get("GEANT4_DATA_DIR"):
        return _check(Path(given).expanduser())
    return _reduced()


def _check(path: Path) -> DataDirectory:
    if not path.is_dir():
        raise ValueError(f"GEANT4_DATA_DIR is {path}, which is no directory; expected that of Geant4's data sets")
    lacking = [name for name in DATASETS if not (path / name).is_dir()]
    lacking += [name for name in USED if not (path / name).is_file() and name.split("/")[0] not in lacking]
    if lacking:
        raise ValueError(
            f"GEANT4_DATA_DIR is {path}, which lacks {', '.join(lacking)}; expected the data sets of Geant4 11.4 "
            "(unset the variable to use reduced data sets)"
        )
    official = (path / OFFICIAL).is_file()
    return DataDirectory(path.absolute(), "official" if official else "reduced")


@cache  # says it once a process
def _reduced() -> DataDirectory:
    cache_home = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    folder = Path(cache_home) / "ecalnb" / f"geant4-reduced-{REDUCED_VERSION}"
    done = folder / "complete.json"
    if not done.is_file():
        from .reduced import write_reduced_data

        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError:
            folder = Path(tempfile.mkdtemp(prefix="ecalnb-geant4-"))
            done = folder / "complete.json"
        write_reduced_data(folder)
        _atomic.write_json(done, {"version": REDUCED_VERSION, "datasets": DATASETS})
    log.warning(
        "Geant4 runs on reduced data sets, written from formulas (%s): cross-sections of slow neutrons and light ions "
        "are approximate. Set GEANT4_DATA_DIR to the official data sets to use those.",
        folder,
    )
    return _check(folder)
