"""Toy showers that a network learns in seconds, for the tests of training and prediction.

Run as a program it trains on them and is killed with SIGKILL at a given moment:
``toy_training.py store run moment [settings]``, the settings that differ in JSON.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ecalnb.geometry import AMS, Calorimeter
from ecalnb.showers import Showers
from ecalnb.store import Store
from ecalnb.training import Recipe

SETTINGS: dict[str, Any] = {
    "model": "ecal_simple_cnn",
    "recipe": Recipe(),
    "max_epochs": 3,
    "batch_size": 16,
    "learning_rate": 1e-3,
    "model_options": {"drop_rate": 0.3},
    "augmentation": ["mirror", "shift"],
    "checkpoint_every": 3,
    "threads": 1,
    "device": "cpu",
}
"""A training in which everything that is random takes part; 13 steps an epoch."""


def toy_showers(n: int = 500, seed: int = 5, geometry: Calorimeter = AMS, file_id: int = 11) -> Showers:
    """Electrons with a narrow core in the middle layers, and protons spread over all cells."""
    rng = np.random.default_rng(seed)
    electron = rng.random(n) < 0.4
    images = rng.exponential(0.002, (n, *geometry.shape)) * (rng.random((n, *geometry.shape)) < 0.2)
    core = slice(geometry.n_cells // 2 - 2, geometry.n_cells // 2 + 2)
    images[electron, 3:10, core] += rng.exponential(0.2, (int(electron.sum()), 7, 4))
    images[~electron] *= 10
    table = pd.DataFrame(
        {
            "file_id": np.full(n, file_id),
            "entry": np.arange(n),
            "label": pd.Series(np.where(electron, "electron", "proton"), dtype=object),
            "en3d": images.sum(axis=(1, 2)),
            "momentum": rng.uniform(5, 100, n),
        }
    )
    return Showers(images.astype(np.float32), table, geometry)


def run_until_killed(store: Store, run: Path, moment: str, changes: dict[str, Any] | None = None) -> None:
    """Train in a process of its own that dies at some moment."""
    root = str(Path(__file__).parents[1])
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([root, os.environ.get("PYTHONPATH", "")])}
    arguments = [sys.executable, __file__, str(store.path), str(run), moment, json.dumps(changes or {})]
    done = subprocess.run(arguments, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == -signal.SIGKILL, done.stderr


def main(store: str, run: str, moment: str, changes: str = "{}") -> None:
    import pytorch_lightning as lightning

    from ecalnb.training import train

    def kill() -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    class Kill(lightning.Callback):
        def on_train_batch_start(self, trainer: Any, *_: Any) -> None:
            if moment == "in mid-epoch" and trainer.global_step == 18:
                kill()

        def on_validation_batch_start(self, trainer: Any, *_: Any) -> None:
            if moment == "in validation" and trainer.current_epoch == 1:
                kill()

        def on_train_epoch_start(self, trainer: Any, *_: Any) -> None:
            if moment == "between epochs" and trainer.current_epoch == 2:
                kill()

    if moment == "while writing a checkpoint":
        replace, written = os.replace, []

        def replace_or_die(source: Path, target: Path) -> None:
            written.append(target)
            if sum(Path(path).name == "last.ckpt" for path in written) == 4:
                with open(source, "rb+") as file:
                    file.truncate(1000)
                kill()
            replace(source, target)

        os.replace = replace_or_die
    train(Store(store), output=run, callbacks=[Kill()], **{**SETTINGS, **json.loads(changes)})


if __name__ == "__main__":
    main(*sys.argv[1:])
