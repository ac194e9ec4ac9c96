"""What scores tables and friend trees share: loading the models, choosing the events, and computing the logits."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch

from ..geometry import Calorimeter
from ..splits import SAMPLES, split_of
from . import _runtime
from .backends import Scorer, make_scorer
from .data import Selection
from .errors import TrainingError
from .scales import Batch
from .sources import Part, PathLike
from .weights import EventClassifier, load_weights

__all__ = ["Choice", "Models", "division_of", "load_models", "logits_of", "needed_columns", "origin", "scorers"]

Models = PathLike | EventClassifier | Sequence[PathLike | EventClassifier] | Mapping[str, PathLike | EventClassifier]
"""Run directories, weights files or loaded classifiers; with a mapping the names of the columns."""

_BLOCK = 512  # events whose cells are read at a time, if no model has larger batches


@dataclass(frozen=True)
class Choice:
    """Which events are scored.

    Parameters
    ----------
    split : str or list of str, optional
        Only those of these samples; all unless told.
    selection : callable, optional
        Cut on the event table.
    division : str
        The split that the samples belong to; see :mod:`ecalnb.splits`.

    Raises
    ------
    TrainingError
        If there is no such sample.
    """

    split: str | Sequence[str] | None = None
    selection: Selection | None = None
    division: str = "default"

    def __post_init__(self) -> None:
        if unknown := self.samples - set(SAMPLES):
            raise TrainingError(f"split is {', '.join(sorted(unknown))!r}; expected some of {', '.join(SAMPLES)}")

    @property
    def samples(self) -> set[str]:
        """Names of the samples."""
        return {self.split} if isinstance(self.split, str) else set(self.split or SAMPLES)

    def rows(self, table: pd.DataFrame) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.str_]]:
        """Positions of the chosen rows of an event table, and the sample of each of them."""
        sample = split_of(table["file_id"].to_numpy(), table["entry"].to_numpy(), self.division)
        keep = np.isin(sample, sorted(self.samples))
        if self.selection is not None:
            keep &= np.asarray(self.selection(table), dtype=bool)
        rows = np.flatnonzero(keep)
        return rows, sample[rows]


def load_models(models: Models, taken: Collection[str] = ()) -> list[EventClassifier]:
    """Load weights, each under its own name.

    Parameters
    ----------
    models : path, EventClassifier, or a list or mapping of them
        What to load.
    taken : collection of str
        Names that are none for a model.

    Raises
    ------
    TrainingError
        If weights cannot be loaded, there are none, or a name is there twice or taken.
    """
    if isinstance(models, str | os.PathLike | EventClassifier):
        models = [models]
    named: list[tuple[str | None, PathLike | EventClassifier]]
    named = list(models.items()) if isinstance(models, Mapping) else [(None, model) for model in models]
    if not named:
        raise TrainingError("no models were given; expected run directories or .safetensors files")
    classifiers: list[EventClassifier] = []
    for name, model in named:
        if isinstance(model, str | os.PathLike):
            loaded = load_weights(os.fspath(model), name=name)
        else:
            loaded = model if name is None else replace(model, name=name)  # type: ignore[type-var]  # dataclasses all
        if loaded.name in (other.name for other in classifiers):
            raise TrainingError(
                f"two models are called {loaded.name}; rename one, or in Python give a mapping of names to paths"
            )
        if loaded.name in taken:
            raise TrainingError(f"a model cannot be called {loaded.name}, which is another column of the scores table")
        classifiers.append(loaded)
    return classifiers


def division_of(classifiers: Sequence[EventClassifier], division: str | None, split: object) -> str:
    """Split that samples are taken from: the one asked for, or else the one that the models were trained on.

    Raises
    ------
    TrainingError
        If the models were trained on different ones, so that what one has not seen another was trained on, and
        samples are asked for.
    """
    if division is not None:
        return division
    known = sorted({name for classifier in classifiers if (name := classifier.info.get("recipe", {}).get("split"))})
    if len(known) > 1 and split is not None:
        raise TrainingError(
            f"the models were trained on different splits ({', '.join(known)}), and test events of one are training "
            "events of another; score them apart, or say which split is meant (division)"
        )
    return known[0] if len(known) == 1 else "default"


def needed_columns(classifiers: Sequence[EventClassifier]) -> list[str]:
    """Columns of the event table that the inputs of some models need."""
    return list(dict.fromkeys(name for classifier in classifiers for name in classifier.inputs.columns))


@contextmanager
def scorers(
    classifiers: Sequence[EventClassifier],
    *,
    backend: str,
    device: str,
    threads: int | None,
    batch_size: int | None,
    events: float,
) -> Iterator[list[Scorer]]:
    """Scorers of all models, while torch uses so many threads; see :func:`ecalnb.training.backends.make_scorer`."""
    if batch_size is not None and batch_size < 1:
        raise TrainingError(f"batch_size is {batch_size}; expected 1 or more events")
    device = _runtime.pick_device(device)
    with _runtime.thread_number(threads) as used:
        yield [
            make_scorer(classifier, backend=backend, device=device, threads=used, batch_size=batch_size, events=events)
            for classifier in classifiers
        ]


def logits_of(scorers: Sequence[Scorer], part: Part, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
    """Logits of some events of a part by each model, (models, n).

    Raises
    ------
    TrainingError
        If a model is of another calorimeter, or a column that it needs is not there.
    """
    for scorer in scorers:
        _check_geometry(scorer.classifier, part.geometry)
    columns = needed_columns([scorer.classifier for scorer in scorers])
    if missing := [name for name in columns if name not in part.table]:
        raise TrainingError(f"the event table has no column {', '.join(missing)}, which the models need")
    inputs = {name: part.table[name].to_numpy(dtype=np.float32) for name in columns}
    logits = np.empty((len(scorers), len(rows)), dtype=np.float32)
    block = max([_BLOCK, *(scorer.batch_size for scorer in scorers)])
    for start in range(0, len(rows), block):
        some = rows[start : start + block]
        batch: Batch = {name: torch.from_numpy(values[some]) for name, values in inputs.items()}
        batch["cells"] = torch.from_numpy(part.cells(some))
        for index, scorer in enumerate(scorers):
            for first in range(0, len(some), scorer.batch_size):
                last = min(first + scorer.batch_size, len(some))
                one = {name: values[first:last] for name, values in batch.items()}
                logits[index, start + first : start + last] = scorer.logits(one).numpy()
    return logits


def _check_geometry(classifier: EventClassifier, geometry: Calorimeter) -> None:
    if (classifier.geometry.shape, classifier.geometry.views) != (geometry.shape, geometry.views):
        raise TrainingError(
            f"{classifier.path} was trained on showers of {classifier.geometry.name} "
            f"({' x '.join(map(str, classifier.geometry.shape))} cells), not of {geometry.name} "
            f"({' x '.join(map(str, geometry.shape))}) with its order of views"
        )


def origin(scorer: Scorer) -> dict[str, Any]:
    """Say what scores come from, to keep with them."""
    info = scorer.classifier.info
    return {
        "model": info["model"],
        "title": info.get("title"),
        "parameters": info.get("parameters"),
        "recipe": info.get("recipe", {}).get("name"),
        "seed": info.get("seed"),
        "store": info.get("data", {}).get("store"),
        "validation": info.get("validation"),
        "backend": scorer.backend,
        "batch_size": scorer.batch_size,
    }
