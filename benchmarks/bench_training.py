"""What the data module and Lightning cost: training steps a second against a bare loop on a tensor in memory.

The yardstick is a loop of training steps of the small CNN over one dense tensor, indexed by the same permutation.
Beside it stand the same loop on the batches of our loader, from a store on disk, and the training as `train` runs it.
All on one thread, in turns; of several rounds the one with the least CPU time counts.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from ratios import Ratio, cpu_seconds, in_turns

from ecalnb import models
from ecalnb.showers import Showers
from ecalnb.store import from_showers
from ecalnb.training import EcalDataModule, EcalTask, MergedInputs, Recipe, make_loss, predict, train

BATCH = 128


def showers(n: int) -> Showers:
    """Random events with about 220 hit cells each, as in a shower."""
    rng = np.random.default_rng(1)
    shape = (n, 18, 72)
    images = rng.exponential(0.01, shape).astype(np.float32) * (rng.random(shape, dtype=np.float32) < 220 / 1296)
    table = pd.DataFrame(
        {
            "file_id": 1,
            "entry": np.arange(n),
            "label": np.where(rng.random(n) < 0.3, "electron", "proton"),
            "en3d": images.sum(axis=(1, 2)),
        }
    )
    return Showers(images, table)


def steps(batches: Iterable[dict[str, torch.Tensor]]) -> None:
    """Train the small CNN on some batches, without Lightning."""
    task = EcalTask(models.create("ecal_simple_cnn"), MergedInputs(), make_loss("weighted_bce", 1, 2))
    optimiser = task.configure_optimizers()
    for batch in batches:
        loss = task.loss(task(batch), batch)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()


def rows(quick: bool) -> list[Ratio]:
    """Events a CPU second."""
    torch.set_num_threads(1)
    rounds = 1 if quick else 4
    with tempfile.TemporaryDirectory() as folder:
        events = showers(2_000 if quick else 20_000)
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

        tensor, bare = "batches from a tensor", "training on a tensor"
        cases: dict[str, Callable[[], object]] = {
            tensor: lambda: exhaust(dense()),
            "batches from the store": lambda: exhaust(loader),
            bare: lambda: steps(dense()),
            "training from the store": lambda: steps(loader),
            "scoring": lambda: predict(Path(folder) / "run", store, split="train", threads=1),
        }
        lightning(1)
        rates: dict[str, tuple[float, ...]] = dict.fromkeys(cases, ())
        whole: tuple[float, ...] = ()
        for _ in range(rounds):
            for name, own in in_turns(n, cases, 1).items():
                rates[name] += own
            # The difference of one and three epochs leaves out what is done once; validation is part of an epoch.
            times = []
            for epochs in (1, 3):
                start = cpu_seconds()
                lightning(epochs)
                times.append(cpu_seconds() - start)
            validation = len(data.rows["validation"]) / max(rates["scoring"])
            whole += (n / max((times[1] - times[0]) / 2 - validation, 1e-3),)
    return [
        Ratio("batches from the store", tensor, rates["batches from the store"], rates[tensor]),
        Ratio("training from the store", bare, rates["training from the store"], rates[bare], 0.9),
        Ratio("training by `train`, less validation", bare, whole, rates[bare]),
    ]
