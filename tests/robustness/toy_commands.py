"""The commands that are killed and starved of disk, on inputs so small that each takes a second or a few."""

from __future__ import annotations

import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

import nbformat

sys.path.insert(0, str(Path(__file__).parents[1]))
from toy_training import toy_showers

from ecalnb import ntuples
from ecalnb.showers import Showers
from ecalnb.store import from_showers
from ecalnb.training import Recipe, train

NAMES = ("simulate", "convert", "train", "run", "predict")

CODE = """
import json
from pathlib import Path
from ecalnb import ntuples
from ecalnb._atomic import write_json
events = ntuples.read({events!r}, n_max=50)
write_json(Path(output_dir) / "metrics" / {name!r}, {{"seed": seed, "energy": float(events.images.sum())}})
"""


@dataclass(frozen=True)
class Inputs:
    """Files that the commands read, all in one folder."""

    folder: Path

    def words(self, name: str, output: Path) -> list[str]:
        """Command line that writes into a folder."""
        inputs, out = str(self.folder), str(output)
        settings = ["--set", "max_epochs=3", "--set", "batch_size=16"]
        return {
            "simulate": ["simulate", "electron", "-n", "3000", "-E", "5:50", "-o", f"{out}/e.root", "--seed", "3"],
            "convert": ["convert", *(f"{inputs}/e{i}.root" for i in range(4)), "-o", f"{out}/store"],
            "train": ["train", f"{inputs}/toy", "-o", f"{out}/run", "--recipe", f"{inputs}/recipe.toml",
                      "--device", "cpu", *settings],
            "run": ["run", "--notebooks", f"{inputs}/notebooks", "-o", out, "--cores", "2", "--scale", "smoke"],
            "predict": ["predict", f"{inputs}/run", f"{inputs}/toy", "-o", f"{out}/scores.parquet", "--device", "cpu",
                        "--backend", "torch", "--threads", "1"],
            "html": ["display", f"{inputs}/e0.root", "--event", "1", "--html", f"{out}/event.html"],
            "png": ["display", f"{inputs}/e0.root", "--event", "1", "--png", f"{out}/event.png"],
        }[name]  # fmt: skip


def make_inputs(folder: Path, events: Showers) -> Inputs:
    """Write the files that the commands read."""
    for i in range(4):
        ntuples.write(events[100 * i : 100 * (i + 1)], folder / f"e{i}.root")
    from_showers(toy_showers(400), folder / "toy")
    train(folder / "toy", model="ecal_simple_cnn", output=folder / "run", recipe=Recipe(), max_epochs=1, device="cpu")
    (folder / "recipe.toml").write_text('[toy]\ndescription = "toy"\n')
    (folder / "notebooks").mkdir()
    for name in ("01_one", "02_two"):
        parameters = 'scale = "demo"\ndata_dir = None\noutput_dir = "output"\nseed = 1'
        cells = [nbformat.v4.new_code_cell(parameters, id="parameters", metadata={"tags": ["parameters"]})]
        code = CODE.format(events=str(folder / "e0.root"), name=f"{name}.json")
        cells.append(nbformat.v4.new_code_cell(code, id="code"))
        nbformat.write(nbformat.v4.new_notebook(cells=cells), folder / "notebooks" / f"{name}.ipynb")
    return Inputs(folder)


def fresh(folder: Path) -> Path:
    """Make an empty folder."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder
