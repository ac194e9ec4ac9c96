"""Running Geant4 in a process of its own, and what its settings mean."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as installed
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ...geometry import AMS, Calorimeter, Tracks
from ..scale import FIBRES, HOMOGENISED
from .birks import KB_MAX
from .data import data_directory
from .importance import IMPORTANCES

__all__ = ["PHYSICS_LISTS", "Geant4Error", "Geant4Events", "Geant4Settings", "run_geant4", "version"]

PHYSICS_LISTS = ("FTFP_BERT", "QGSP_BERT")


class Geant4Error(RuntimeError):
    """Geant4 could not run, or failed."""


@dataclass(frozen=True)
class Geant4Settings:
    """How Geant4 runs.

    Parameters
    ----------
    homogenised : bool
        Mean material instead of explicit fibres: several times faster, without sampling fluctuations.
    cut : float, optional
        Range cut of secondary particles, mm: 0.1 for fibres and 0.7 for the mean material unless told.
    physics : {"FTFP_BERT", "QGSP_BERT"}
        Physics list. The difference between them is a measure of the uncertainty of hadronic models.
    birks : float
        Birks' constant kB of the fibres, mm/MeV (:mod:`.birks`): 0.123 in AMS's own simulation (0.013 g/MeV/cm2, R. L.
        Craun and D. L. Smith, NIM 80 (1970) 239). 0, the default, is no quenching. Fibres only.
    importance : {"", "emlike"}
        Importance sampling (:mod:`.importance`): "emlike" follows hadrons that begin like an electron, and few of the
        others; events have weights. "" follows all.

    Raises
    ------
    ValueError
        If the physics list or the importance sampling is unknown, the cut not positive, or Birks' constant out of range
        or without fibres.
    """

    homogenised: bool = False
    cut: float | None = None
    physics: str = "FTFP_BERT"
    birks: float = 0.0
    importance: str = ""

    def __post_init__(self) -> None:
        if self.physics not in PHYSICS_LISTS:
            raise ValueError(f"physics list {self.physics!r} is not one of {', '.join(map(repr, PHYSICS_LISTS))}")
        if self.importance and self.importance not in IMPORTANCES:
            raise ValueError(f"importance {self.importance!r} is not one of {', '.join(map(repr, IMPORTANCES))}")
        if self.cut is None:
            object.__setattr__(self, "cut", 0.7 if self.homogenised else 0.1)
        if not 1e-3 <= self.cut <= 100:  # type: ignore[operator]
            raise ValueError(f"range cut {self.cut!r} mm is not within 0.001 to 100 mm")
        if not 0 <= self.birks <= KB_MAX:
            raise ValueError(f"Birks' constant {self.birks!r} mm/MeV is not within 0 to {KB_MAX:g} mm/MeV")
        if self.birks and self.homogenised:
            raise ValueError(
                f"Birks' constant {self.birks!r} mm/MeV is for fibres, and the calorimeter is homogenised; expected 0"
            )

    @property
    def scale(self) -> float:
        """GeV of the image for a MeV deposited."""
        return 1e-3 / (HOMOGENISED if self.homogenised else FIBRES)

    def describe(self) -> dict[str, Any]:
        """Metadata of events: engine, version, kind of data, volumes, cut, physics list."""
        return {
            "engine": "geant4",
            "version": version(),
            "data": data_directory().description,
            "volumes": "homogenised" if self.homogenised else "explicit fibres",
            "cut_mm": self.cut,
            "physics": self.physics,
            **({"birks_mm_per_mev": self.birks} if self.birks else {}),
            **({"importance": self.importance} if self.importance else {}),
        }


class Geant4Events(NamedTuple):
    """What Geant4 makes of primaries.

    Parameters
    ----------
    images : array, shape (n, n_layers, n_cells), float32
        Cell energies in GeV, on the scale where vertical electrons of 10 GeV have a sum of 10 GeV.
    interaction_depth : array, shape (n,)
        Depth of the inelastic interaction of the primary, mm; NaN where it had none.
    weight : array, shape (n,)
        Weight of the event: 1 without importance sampling; 0 where that has ended the event before its time.
    """

    images: npt.NDArray[np.float32]
    interaction_depth: npt.NDArray[np.float64]
    weight: npt.NDArray[np.float64]


@cache
def version() -> str:
    """Version of Geant4 and of its bindings.

    Raises
    ------
    Geant4Error
        If the extra is not installed.
    """
    try:
        bindings = installed("geant4-pybind")
    except PackageNotFoundError:
        raise Geant4Error('geant4-pybind is not installed, which this needs: pip install "ecalnb[geant4]"') from None
    return f"{'11.4.1, ' if bindings == '0.1.3' else ''}geant4-pybind {bindings}"


def run_geant4(
    pdg: npt.ArrayLike,
    energies: npt.ArrayLike,
    tracks: Tracks,
    seeds: npt.ArrayLike,
    settings: Geant4Settings,
    geometry: Calorimeter = AMS,
    *,
    on_event: Callable[[], None] | None = None,
) -> Geant4Events:
    """Transport particles with Geant4, in one process.

    Parameters
    ----------
    pdg : array_like of int, shape (n,) or ()
        PDG codes.
    energies : array_like, shape (n,)
        Kinetic energies, GeV.
    tracks : Tracks
        Where and in which direction the particles pass the front face.
    seeds : array_like of int, shape (n, 2)
        Two seeds for each event, 1 to 2^31 - 1.
    settings : Geant4Settings
        Volumes, cut, physics list.
    geometry : Calorimeter
        The calorimeter.
    on_event : callable, optional
        Called after each event.

    Returns
    -------
    Geant4Events
        Images, depths of interaction and weights.

    Raises
    ------
    Geant4Error
        If the extra ``geant4`` is not installed, or Geant4 failed; the end of its output is in the message.
    """
    version()  # say what is missing before anything is written
    energies = np.atleast_1d(np.asarray(energies, dtype=float))
    columns = np.broadcast_arrays(np.asarray(pdg, dtype=float), energies, tracks.x, tracks.y)
    primaries = np.column_stack([*columns, tracks.slope_x, tracks.slope_y])
    content = {
        "geometry": asdict(geometry),
        "homogenised": settings.homogenised,
        "cut": settings.cut,
        "physics": settings.physics,
        "birks": settings.birks,
        "importance": settings.importance,
        "scale": settings.scale,
    }
    with tempfile.TemporaryDirectory(prefix="ecalnb-geant4-") as name:
        folder = Path(name)
        (folder / "settings.json").write_text(json.dumps(content))
        np.savez(folder / "events.npz", primaries=primaries, seeds=np.asarray(seeds, dtype=np.int64))
        _run_worker(folder, on_event)
        with np.load(folder / "showers.npz") as showers:
            images, depths, weights = (showers[name] for name in ("images", "interaction_depth", "weight"))
    return Geant4Events(images * np.float32(settings.scale), depths, weights)


def _run_worker(folder: Path, on_event: Callable[[], None] | None) -> None:
    environment = {**os.environ, "GEANT4_DATA_DIR": str(data_directory().path)}
    command = [sys.executable, "-m", "ecalnb.simulation.geant4.worker", str(folder)]
    with (
        open(folder / "errors.txt", "w+") as errors,
        subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors, env=environment, text=True
        ) as process,
    ):
        output = []
        try:
            for line in process.stdout or ():
                if line.startswith("event "):
                    if on_event:
                        on_event()
                else:
                    output.append(line)
        except BaseException:
            process.kill()
            raise
        code = process.wait()
        if code != 0 or not (folder / "showers.npz").is_file():
            errors.seek(0)
            last = " ".join((errors.read() or "".join(output)).split())[-400:]
            raise Geant4Error(f"Geant4 ended with code {code}: ...{last}")
