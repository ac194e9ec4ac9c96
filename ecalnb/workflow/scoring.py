"""Training and prediction as jobs: a model on the store of a dataset, and the scores of its ROOT files one by one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .stores import file_jobs

__all__ = ["join", "predict_file", "run_of", "train_model"]


def run_of(weights: str) -> Path | None:
    """Return the run directory of weights that the workflow trains, ``<model>@<dataset>``; None for packaged ones."""
    model, separator, dataset = weights.partition("@")
    return Path("runs") / dataset / model if separator else None


def train_model(model: str, store: Path, output: Path, seed: int, threads: int) -> None:
    """Train a model on a store with the default recipe, going on with a run that was stopped."""
    from ..training import train

    train(store, model, output, seed=seed, threads=threads)


def predict_file(
    weights: str, dataset: str, job: str, output: Path, scale: str, data_dir: str | None, threads: int
) -> None:
    """Score the events of one ROOT file of a dataset."""
    from ..training import predict

    part, path = file_jobs(dataset, scale, data_dir)[job]
    output.unlink(missing_ok=True)
    reading: dict[str, Any] = {"schema": part.schema} | ({"label": part.label} if part.label else {})
    predict(run_of(weights) or weights, [path], output=output, threads=threads, **reading)


def join(files: Sequence[Path], output: Path) -> None:
    """Write the scores of several files as one table."""
    import pandas as pd

    from ..training import read_scores
    from ..training.scores import write_scores

    tables = [read_scores(file) for file in files]
    joined = pd.concat(tables, ignore_index=True)
    joined.attrs = tables[0].attrs
    write_scores(joined, output)
