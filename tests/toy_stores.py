"""ROOT files and showers for the tests of the store."""

from __future__ import annotations

import os
from pathlib import Path

import awkward as ak
import numpy as np
import pandas as pd
import uproot

import ecalnb
from ecalnb.geometry import AMS, Calorimeter
from ecalnb.showers import Showers

SMALL = Calorimeter("small", ("x", "y", "x"), 5, 10.0, 10.0, 5.0, 0.5)
PYTHONPATH = os.pathsep.join([str(Path(ecalnb.__file__).parents[1]), os.environ.get("PYTHONPATH", "")])


def cells_in_file(n: int, seed: int) -> np.ndarray:
    """Cells in MeV, one in six hit."""
    rng = np.random.default_rng(seed)
    cells = rng.exponential(20, (n, AMS.n_layers * AMS.n_cells)).astype(np.float32)
    return cells * (rng.random(cells.shape) < 1 / 6)


def root_file(path: Path, n: int = 40, seed: int = 0, pdg: int | None = 11, cells: np.ndarray | None = None) -> Path:
    """A file of the AMS layout, written by uproot alone."""
    rng = np.random.default_rng(seed)
    cells = cells_in_file(n, seed) if cells is None else cells
    branches: dict[str, object] = {
        "edep_cell": cells,
        "en3d": cells.sum(axis=1, where=cells > 0).astype(np.float32) * 1e-3,
        "mom": rng.uniform(5, 100, n).astype(np.float32),
        "Trk_Ecal_Inci_X": ak.unflatten(rng.normal(size=n).astype(np.float32), np.ones(n, int)),
    }
    if pdg is not None:
        branches["pdg"] = np.full(n, pdg, np.int32)
    with uproot.recreate(path) as file:
        types = {
            k: "var * float32" if isinstance(v, ak.Array) else np.dtype((v.dtype, v.shape[1:]))
            for k, v in branches.items()
        }
        tree = file.mktree("t1", types)
        for start in range(0, n, 16):
            tree.extend({name: values[start : start + 16] for name, values in branches.items()})
    return path


def images_of(path: Path) -> np.ndarray:
    raw = uproot.open(path)["t1/edep_cell"].array(library="np")
    return (raw.astype(np.float64) * 1e-3).astype(np.float32).reshape(-1, *AMS.shape)


def showers(n: int = 7, seed: int = 0, geometry: Calorimeter = SMALL, **columns: object) -> Showers:
    rng = np.random.default_rng(seed)
    images = rng.exponential(size=(n, *geometry.shape)) * (rng.random((n, *geometry.shape)) < 0.4)
    table = pd.DataFrame({"file_id": np.full(n, 5 + seed), "entry": np.arange(n), "en3d": images.sum(axis=(1, 2))})
    return Showers(images.astype(np.float32), table.assign(**columns), geometry)


def leftovers(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob(".*"))
