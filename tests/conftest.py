"""Fixtures that several test files share: axes, toy showers, the packaged events, and files of any layout."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import uproot
from matplotlib.axes import Axes
from toy_stores import root_file

from ecalnb import ntuples, plots
from ecalnb.geometry import AMS, Calorimeter
from ecalnb.showers import Showers

mpl.use("agg")

MakeShowers = Callable[..., Showers]
WriteRoot = Callable[..., Path]


@pytest.fixture
def ax() -> Iterator[Axes]:
    """Axes in the package's style, which are drawn at the end: that warns of what cannot be drawn."""
    with plt.style.context(plots.style()):
        fig, axes = plt.subplots()
    yield axes
    fig.canvas.draw()
    plt.close(fig)


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(20240229)


@pytest.fixture
def make_showers(rng: np.random.Generator) -> MakeShowers:
    """Factory of random events that look like nothing in particular, with the usual columns and unique event keys."""

    def make(n: int = 20, *, label: str = "electron", file_id: int = 7, geometry: Calorimeter = AMS) -> Showers:
        hit = rng.random((n, *geometry.shape)) < 0.15
        images = np.where(hit, rng.exponential(0.02, hit.shape), 0).astype(np.float32)
        table = pd.DataFrame(
            {
                "file_id": np.full(n, file_id),
                "entry": np.arange(n),
                "label": pd.Series([label] * n, dtype=object),
                "en3d": images.sum(axis=(1, 2)),
                "momentum": rng.uniform(5, 100, n).astype(np.float32),
                "pdg": np.full(n, {"electron": 11, "positron": -11, "proton": 2212}[label]),
                "track_x": rng.uniform(-250, 250, n).astype(np.float32),
                "track_y": rng.uniform(-250, 250, n).astype(np.float32),
                "track_inclination": rng.uniform(0.01, 0.4, n).astype(np.float32),
                "track_azimuth": rng.uniform(-np.pi, np.pi, n).astype(np.float32),
            }
        )
        return Showers(images, table, geometry)

    return make


@pytest.fixture
def showers(make_showers: MakeShowers) -> Showers:
    """Twenty random events."""
    return make_showers()


@pytest.fixture
def write_root(tmp_path: Path) -> WriteRoot:
    """Writer of a TTree (or RNTuple) with any branches, without a line of the package."""

    def write(branches: dict[str, Any], name: str = "file.root", tree: str = "t1", *, rntuple: bool = False) -> Path:
        path = tmp_path / name
        with uproot.recreate(path) as file:
            if rntuple:
                file.mkrntuple(tree, branches)
            else:
                kinds = {
                    key: f"var * {value.type.content.content}"
                    if hasattr(value, "layout")
                    else np.dtype((value.dtype, value.shape[1:]))
                    for key, value in branches.items()
                }
                file.mktree(tree, kinds).extend(branches)
        return path

    return write


@pytest.fixture(scope="session")
def sample_files() -> dict[str, Path]:
    """The packaged Geant4 events: file by label."""
    datasets = ntuples.load_datasets()
    return {name: Path(datasets[f"geant4_{name}s"].files[0]) for name in ("electron", "proton")}


@pytest.fixture(scope="session")
def sample(sample_files: dict[str, Path]) -> Showers:
    """The first 400 packaged electrons and protons. Shared by all tests: do not change it."""
    return Showers.concatenate([ntuples.read(path, n_max=400) for path in sample_files.values()])


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    folder = tmp_path / "root"
    folder.mkdir()
    return [
        root_file(folder / "a.root", seed=1),
        root_file(folder / "b.root", seed=2, pdg=2212),
        root_file(folder / "c.root", seed=3),
    ]


@pytest.fixture
def cells(rng):
    """Cells (30, 1296) in MeV."""
    return np.where(rng.random((30, 1296)) < 0.1, rng.exponential(20, (30, 1296)), 0).astype(np.float32)


@pytest.fixture
def branches(cells, rng):
    """The least that a file must have."""
    return {"edep_cell": cells, "en3d": rng.uniform(1, 50, 30).astype(np.float32)}
