"""The convolutional judge: the package's training on showers in memory."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from ..geometry import Calorimeter
from ..showers import Showers
from .conditions import centred

__all__ = ["train_and_score"]

_BATCH = 1024


@dataclass(frozen=True)
class _Source:
    """Showers as training reads them: an :class:`ecalnb.training.EventSource` with its own division into samples."""

    showers: Showers
    sample: npt.NDArray[np.str_]

    @property
    def geometry(self) -> Calorimeter:
        return self.showers.geometry

    @property
    def columns(self) -> list[str]:
        return list(self.showers.table.columns)

    def __len__(self) -> int:
        return len(self.showers)

    def table(self, columns: Sequence[str] | None = None) -> pd.DataFrame:
        return self.showers.table if columns is None else self.showers.table[list(columns)]

    def dense(self, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
        return self.showers.images[rows]

    def splits(self, split: str = "default") -> npt.NDArray[np.str_]:  # noqa: ARG002
        return self.sample

    def fingerprint(self) -> str:
        return hashlib.blake2b(np.ascontiguousarray(self.showers.images).tobytes(), digest_size=8).hexdigest()


def train_and_score(
    showers: Showers,
    is_reference: npt.NDArray[np.bool_],
    rows: Mapping[str, npt.NDArray[np.intp]],
    seed: int,
    threads: int | None,
    device: str,
) -> npt.NDArray[np.float32]:
    """Train the frozen network and return its logits for ``rows["test"]``, higher for the reference."""
    import torch

    from ..training import load_weights, train
    from .judges import judge_settings

    settings = judge_settings()["cnn"]
    sample = np.full(len(showers), "none", dtype="U10")
    for name, chosen in rows.items():
        sample[chosen] = name
    table = pd.DataFrame(
        {
            "file_id": np.int64(0),
            "entry": np.arange(len(showers)),
            "label": np.where(is_reference, "reference", "candidate"),
            "en3d": showers.energies,
        }
    )
    cut = centred(showers, settings["half_width"])
    source = _Source(Showers(cut.images, table, cut.geometry), sample)
    with tempfile.TemporaryDirectory(prefix="ecalnb-judge-") as folder:
        run = train(
            source, settings["model"], Path(folder) / "cnn", recipe=settings["recipe"], seed=seed, threads=threads,
            device=device,
        )  # fmt: skip
        network = load_weights(run.path)
    parts = [rows["test"][start : start + _BATCH] for start in range(0, len(rows["test"]), _BATCH)]
    return np.concatenate([network.logits({"cells": torch.from_numpy(source.dense(part))}).numpy() for part in parts])
