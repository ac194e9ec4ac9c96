"""Speed of prediction: from a store to a table of scores, against a bare loop of torch over a tensor in memory.

The yardstick of each network is the best of several batch sizes, inputs included, without any reading. All on one
thread, in turns; of several rounds the one with the least CPU time counts. What is done once (loading the weights,
making a graph for onnxruntime) is part of a prediction: the number of events is one for which a prediction takes
10 to 20 seconds.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from ratios import Ratio, in_turns

from ecalnb import models
from ecalnb.geometry import AMS
from ecalnb.showers import Showers
from ecalnb.store import Store, from_showers
from ecalnb.training import Classifier, load_network, predict, save_weights
from ecalnb.training.weight_files import geometry_to_dict

EVENTS = {"ecal_simple_cnn": 300_000, "ecal_resnet10": 20_000, "ecal_cvt": 800}
SAMPLE = 10  # the yardstick is measured on one in so many events
SIZES = (8, 32, 64, 128, 512)
ROUNDS = 2
TARGET = 0.95  # of the yardstick: the clocks of a shared machine do not agree better


def showers(n: int) -> Showers:
    """Random events with about 220 hit cells each, as in a shower."""
    rng = np.random.default_rng(1)
    shape = (n, *AMS.shape)
    images = rng.exponential(0.01, shape).astype(np.float32) * (rng.random(shape, dtype=np.float32) < 220 / 1296)
    return Showers(images, pd.DataFrame({"file_id": 1, "entry": np.arange(n), "en3d": images.sum(axis=(1, 2))}))


def classifier(name: str, folder: Path) -> Classifier:
    """Network with random weights."""
    info = {"model": name, "model_options": {}, "inputs": {"name": "merged"}, "geometry": geometry_to_dict(AMS)}
    save_weights(folder / f"{name}.safetensors", models.create(name).state_dict(), info)
    return load_network(folder / f"{name}.safetensors")


def make_store(block: Showers, n: int, path: Path) -> Store:
    """Store of the same events again and again, so that the memory of a laptop is enough to make it."""
    starts = range(0, n, len(block))
    return from_showers(
        (Showers(block.images, block.table.assign(entry=block.table["entry"] + start)) for start in starts), path
    )


def bare(network: Classifier, cells: torch.Tensor, size: int) -> None:
    """Score, and do nothing else."""
    for part in cells.split(size):
        network.logits({"cells": part})


def rows(quick: bool) -> list[Ratio]:
    """Events a CPU second."""
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        return [measured(name, n, Path(folder)) for name, n in ({"ecal_simple_cnn": 1000} if quick else EVENTS).items()]


def measured(name: str, n: int, folder: Path) -> Ratio:
    """One network, beside the best of the batch sizes of its yardstick."""
    network = classifier(name, folder)
    block = showers(min(n, 20_000))
    store = make_store(block, n, folder / f"store_{name}")
    cells = torch.from_numpy(block.images[: n // SAMPLE])
    loops = {str(size): lambda size=size: bare(network, cells, size) for size in SIZES}
    counts = dict.fromkeys(loops, len(cells)) | {"predict": n}
    rates = in_turns(counts, {**loops, "predict": lambda: predict(network, store, threads=1)}, ROUNDS)
    best = max(loops, key=lambda size: max(rates[size]))
    yardstick = f"bare loop of torch, batches of {best}"
    return Ratio(f"predict {name}, {n:,} events", yardstick, rates["predict"], rates[best], TARGET)
