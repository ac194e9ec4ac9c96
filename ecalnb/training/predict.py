"""Prediction: from weights and events to a scores table."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch

from .. import ntuples
from .._progress import progress
from ..geometry import Calorimeter
from ..showers import Showers
from ..splits import SAMPLES, split_of
from . import _runtime
from .data import EventSource, Selection, columns_for
from .errors import TrainingError
from .inputs import Batch
from .scores import BASE_COLUMNS, KEY, check_output, join_scores, read_scores, write_scores
from .weights import Classifier, load_weights

__all__ = ["Models", "Source", "predict"]

log = logging.getLogger(__name__)

PathLike = str | os.PathLike[str]

Models = PathLike | Classifier | Sequence[PathLike | Classifier] | Mapping[str, PathLike | Classifier]
"""Run directories, weights files or loaded classifiers; with a mapping the names of the columns."""

Source = EventSource | Showers | PathLike | Sequence[PathLike]
"""A store or its directory, showers, or ROOT files."""

_CHUNK = 8192  # events whose table rows are looked at together; cells come in batches


@dataclass(frozen=True)
class _Part:
    """Some events of a source: their table, and a way to get the cells of some of them."""

    table: pd.DataFrame
    cells: Callable[[npt.NDArray[np.int64]], npt.NDArray[np.float32]]
    geometry: Calorimeter


def predict(
    models: Models,
    source: Source,
    *,
    split: str | Sequence[str] | None = None,
    output: PathLike | None = None,
    selection: Selection | None = None,
    columns: Sequence[str] = (),
    division: str = "default",
    batch_size: int = 512,
    device: str = "auto",
    threads: int | None = None,
    **reading: Any,
) -> pd.DataFrame:
    """Score events with one or more models.

    Parameters
    ----------
    models : path, Classifier, or a list or mapping of them
        Run directories or ``.safetensors`` files. A column is named after its run, or by the key of the mapping.
    source : Store, Showers, path or list of paths
        The events. ROOT files are read in chunks; memory holds the scores, not the cells.
    split : str or list of str, optional
        Only the events of these samples, for example ``"test"``; all unless told.
    output : path, optional
        Parquet file to write. If it exists, the models are added to it, joined by the event key; a column of the same
        name is replaced.
    selection : callable, optional
        Cut on the event table.
    columns : list of str
        Further columns of the event table to carry along, for example ``("ecal_bdt",)``.
    division : str
        The split that the samples belong to; see :mod:`ecalnb.splits`.
    batch_size : int
        Events in a batch.
    device : {"auto", "cpu", "cuda", "mps"}
        Where to compute.
    threads : int, optional
        Threads of torch; as many as it uses now unless told.
    **reading
        For ROOT files, what :func:`ecalnb.ntuples.iterate` takes: ``label``, ``schema``, ``bad_cells``, ...

    Returns
    -------
    pandas.DataFrame
        Columns ``file_id``, ``entry``, ``en3d`` (GeV), ``label``, ``split``, `columns`, and for each model its logits,
        which unlike probabilities do not saturate; in the order of the source, or of the file that was there.

    Raises
    ------
    TrainingError
        If weights cannot be loaded, are of another calorimeter, two have the same name, no event is left, an event
        occurs twice, or `output` holds other events.
    """
    if output is not None:
        check_output(output)  # before the work, not after it
    classifiers = _load(models, columns)
    device = _runtime.pick_device(device)
    samples = {split} if isinstance(split, str) else set(split or SAMPLES)
    if unknown := samples - set(SAMPLES):
        raise TrainingError(f"split is {', '.join(sorted(unknown))!r}; expected some of {', '.join(SAMPLES)}")
    if batch_size < 1:
        raise TrainingError(f"batch_size is {batch_size}; expected 1 or more events")
    needed = {name for classifier in classifiers for name in classifier.inputs.columns}
    parts = _parts(source, columns_for(selection, {*BASE_COLUMNS[:4], *columns, *needed}), reading)
    tables = []
    with _runtime.thread_number(threads), progress(total=_size(source), description="scoring") as bar:
        for classifier in classifiers:
            classifier.to(device)
        for part in parts:
            tables.append(_score(classifiers, part, samples, division, selection, columns, batch_size))
            bar.advance(len(part.table))
    scores = _joined(tables, samples, selection is not None)
    scores.attrs["models"] = {classifier.name: _origin(classifier) for classifier in classifiers}
    if output is not None:
        output = Path(output)
        if output.exists():
            scores = join_scores(read_scores(output), scores, output)
        write_scores(scores, output)
        log.info("%s: %d events, models %s", output, len(scores), ", ".join(scores.attrs["models"]))
    return scores


def _load(models: Models, columns: Sequence[str]) -> list[Classifier]:
    """Load the weights, each under its own name."""
    if isinstance(models, str | os.PathLike | Classifier):
        models = [models]
    named: list[tuple[str | None, PathLike | Classifier]]
    named = list(models.items()) if isinstance(models, Mapping) else [(None, model) for model in models]
    if not named:
        raise TrainingError("no models were given; expected run directories or .safetensors files")
    classifiers: list[Classifier] = []
    for name, model in named:
        if isinstance(model, Classifier):
            loaded = model if name is None else Classifier(**{**vars(model), "name": name})
        else:
            loaded = load_weights(os.fspath(model), name=name)
        if loaded.name in (other.name for other in classifiers):
            raise TrainingError(
                f"two models are called {loaded.name}; rename one, or in Python give a mapping of names to paths"
            )
        if loaded.name in (*BASE_COLUMNS, *columns):
            raise TrainingError(f"a model cannot be called {loaded.name}, which is another column of the scores table")
        classifiers.append(loaded)
    return classifiers


def _parts(source: Source, columns: list[str] | None, reading: dict[str, Any]) -> Iterator[_Part]:
    """Iterate over the events of any source, some at a time."""
    if isinstance(source, str | os.PathLike) and Path(source).is_dir():
        from ..store import Store

        source = Store(source)
    if isinstance(source, Showers):
        return _from_showers([source], reading)
    if isinstance(source, str | os.PathLike | Sequence):
        files = [source] if isinstance(source, str | os.PathLike) else list(source)
        return _from_showers(ntuples.iterate(files, columns=columns, **reading), {})
    return _from_store(source, columns, reading)


def _from_showers(chunks: Iterator[Showers] | list[Showers], reading: dict[str, Any]) -> Iterator[_Part]:
    _no_reading(reading)
    for showers in chunks:
        yield _Part(showers.table, showers.images.__getitem__, showers.geometry)


def _from_store(store: EventSource, columns: list[str] | None, reading: dict[str, Any]) -> Iterator[_Part]:
    _no_reading(reading)
    table = store.table(None if columns is None else [name for name in columns if name in store.columns])
    for start in range(0, len(table), _CHUNK):

        def cells(rows: npt.NDArray[np.int64], start: int = start) -> npt.NDArray[np.float32]:
            return store.dense(rows + start)

        yield _Part(table.iloc[start : start + _CHUNK], cells, store.geometry)


def _no_reading(reading: dict[str, Any]) -> None:
    if reading:
        raise TrainingError(f"{', '.join(reading)} can be given for ROOT files only")


def _size(source: Source) -> float | None:
    return float(len(source)) if isinstance(source, Showers) else None


def _score(
    classifiers: Sequence[Classifier],
    part: _Part,
    samples: set[str],
    division: str,
    selection: Selection | None,
    columns: Sequence[str],
    batch_size: int,
) -> pd.DataFrame:
    """Scores of the chosen events of a part."""
    table, geometry = part.table, part.geometry
    for classifier in classifiers:
        if (classifier.geometry.shape, classifier.geometry.views) != (geometry.shape, geometry.views):
            raise TrainingError(
                f"{classifier.path} was trained on showers of {classifier.geometry.name} "
                f"({' x '.join(map(str, classifier.geometry.shape))} cells), not of {geometry.name} "
                f"({' x '.join(map(str, geometry.shape))}) with its order of views"
            )
    needed = dict.fromkeys([*KEY, "en3d", *columns, *(name for c in classifiers for name in c.inputs.columns)])
    if missing := [name for name in needed if name not in table]:
        raise TrainingError(f"the event table has no column {', '.join(missing)}, which the scores table needs")
    sample = split_of(table["file_id"].to_numpy(), table["entry"].to_numpy(), division)
    keep = np.isin(sample, sorted(samples))
    if selection is not None:
        keep &= np.asarray(selection(table), dtype=bool)
    rows = np.flatnonzero(keep)
    scores = table[[*KEY, "en3d"]].iloc[rows].reset_index(drop=True)
    labels = table["label"] if "label" in table else pd.Series(None, index=table.index, dtype="string")
    scores["label"] = labels.astype("string").iloc[rows].reset_index(drop=True)
    scores["split"] = pd.Series(sample[rows], dtype="string")
    for name in columns:
        scores[name] = table[name].to_numpy()[rows]
    logits = np.empty((len(classifiers), len(rows)), dtype=np.float32)
    inputs = {name: table[name].to_numpy(dtype=np.float32) for c in classifiers for name in c.inputs.columns}
    for start in range(0, len(rows), batch_size):
        some = rows[start : start + batch_size]
        batch: Batch = {name: torch.from_numpy(values[some]) for name, values in inputs.items()}
        batch["cells"] = torch.from_numpy(part.cells(some))
        for index, classifier in enumerate(classifiers):
            logits[index, start : start + len(some)] = classifier.logits(batch).numpy()
    for classifier, values in zip(classifiers, logits, strict=True):
        scores[classifier.name] = values
    return scores


def _joined(tables: list[pd.DataFrame], samples: set[str], selected: bool) -> pd.DataFrame:
    """All parts as one table in which each event occurs once."""
    full = [table for table in tables if len(table)]
    if not full:
        asked = f"in {', '.join(sorted(samples))}" + (" after the selection" if selected else "")
        raise TrainingError(f"the source has no event {asked}; nothing to score")
    scores = pd.concat(full, ignore_index=True)
    repeated = scores.duplicated(KEY)
    if repeated.any():
        first = scores.loc[repeated, KEY].iloc[0]
        raise TrainingError(
            f"{int(repeated.sum())} events occur more than once (file_id {first['file_id']}, entry {first['entry']}); "
            "was a file given twice?"
        )
    return scores


def _origin(classifier: Classifier) -> dict[str, Any]:
    """Say what a column of scores comes from, kept with the table."""
    info = classifier.info
    return {
        "model": info["model"],
        "parameters": info.get("parameters"),
        "recipe": info.get("recipe", {}).get("name"),
        "seed": info.get("seed"),
        "store": info.get("data", {}).get("store"),
        "validation": info.get("validation"),
    }
