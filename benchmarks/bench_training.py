"""What the data module and Lightning cost: training steps a second against a bare loop on a tensor in memory.

The yardstick is a loop of training steps of the small CNN over one dense tensor, indexed by the same permutation.
Beside it stand the same loop on the batches of our loader, from a store on disk, and the training as `train` runs it.
All on one thread, in turns; of several rounds the one with the least CPU time counts.
"""

# ruff: noqa: T201
from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from ecalnb import models
from ecalnb.showers import Showers
from ecalnb.store import from_showers
from ecalnb.training import EcalDataModule, EcalTask, MergedInputs, Recipe, make_loss, predict, train

EVENTS = 20_000
BATCH = 128
ROUNDS = 4


def showers() -> Showers:
    """Random events with about 220 hit cells each, as in a shower."""
    rng = np.random.default_rng(1)
    shape = (EVENTS, 18, 72)
    images = rng.exponential(0.01, shape).astype(np.float32) * (rng.random(shape, dtype=np.float32) < 220 / 1296)
    table = pd.DataFrame(
        {
            "file_id": 1,
            "entry": np.arange(EVENTS),
            "label": np.where(rng.random(EVENTS) < 0.3, "electron", "proton"),
            "en3d": images.sum(axis=(1, 2)),
        }
    )
    return Showers(images, table)


def cpu_time(function: Callable[[], object]) -> float:
    """CPU seconds of one call."""
    start = time.process_time()
    function()
    return time.process_time() - start


def steps(batches: Iterable[dict[str, torch.Tensor]]) -> None:
    """Train the small CNN on some batches, without Lightning."""
    task = EcalTask(models.create("ecal_simple_cnn"), MergedInputs(), make_loss("weighted_bce", 1, 2))
    optimiser = task.configure_optimizers()
    for batch in batches:
        loss = task.loss(task(batch), batch)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()


def main() -> None:
    """Print events a second and the ratios."""
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        events = showers()
        store = from_showers(events, Path(folder) / "store")
        data = EcalDataModule(store, Recipe(batch_size=BATCH))
        loader = data.train_dataloader()
        rows, n = data.rows["train"], len(data.rows["train"])
        cells = torch.from_numpy(store.dense(rows))
        target = torch.from_numpy(data.target[rows].astype(np.float32))

        def dense() -> Iterable[dict[str, torch.Tensor]]:
            order = torch.from_numpy(loader.order(0))
            for part in torch.tensor_split(order, len(loader)):
                yield {"cells": cells[part], "target": target[part]}

        def lightning(epochs: int) -> None:
            train(store, output=Path(folder) / "run", recipe=Recipe(), max_epochs=epochs, resume=False, threads=1)

        def exhaust(batches: Iterable[object]) -> None:
            for _ in batches:
                pass

        cases: dict[str, Callable[[], object]] = {
            "batches from a tensor": lambda: exhaust(dense()),
            "batches from the store": lambda: exhaust(loader),
            "training on a tensor": lambda: steps(dense()),
            "training from the store": lambda: steps(loader),
            "scoring from the store": lambda: predict(Path(folder) / "run", store, split="train", threads=1),
        }
        best = dict.fromkeys(cases, np.inf)
        epoch = np.inf
        lightning(1)
        for _ in range(ROUNDS):
            for name, function in cases.items():
                best[name] = min(best[name], cpu_time(function))
            # The difference of one and three epochs leaves out what is done once; validation is part of an epoch.
            epoch = min(epoch, (cpu_time(lambda: lightning(3)) - cpu_time(lambda: lightning(1))) / 2)
        for name, seconds in best.items():
            print(f"training: {name}: {n / seconds:,.0f} events a second and core")
        validation = len(data.rows["validation"]) / (n / best["scoring from the store"])
        whole = epoch - validation
        print(f"training: training with Lightning, less validation: {n / whole:,.0f} events a second and core")
        yardstick = best["training on a tensor"]
        print(f"training: from the store {best['training from the store'] / yardstick:.3f} of the time on a tensor")
        print(f"training: with Lightning {whole / yardstick:.3f} of the time on a tensor")


if __name__ == "__main__":
    main()
