"""Prediction: from weights and events to a scores table."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from .._progress import progress
from .backends import Scorer
from .data import Selection, columns_for
from .errors import TrainingError
from .scores import BASE_COLUMNS, KEY, check_output, join_scores, read_scores, write_scores
from .scoring import Choice, Models, division_of, load_models, logits_of, needed_columns, origin, scorers
from .sources import Part, PathLike, Source, count_events, open_source, parts

__all__ = ["predict"]

log = logging.getLogger(__name__)


def predict(
    models: Models,
    source: Source,
    *,
    split: str | Sequence[str] | None = None,
    output: PathLike | None = None,
    selection: Selection | None = None,
    columns: Sequence[str] = (),
    division: str | None = None,
    batch_size: int | None = None,
    device: str = "auto",
    backend: str = "auto",
    threads: int | None = None,
    **reading: Any,
) -> pd.DataFrame:
    """Score events with one or more models.

    Parameters
    ----------
    models : path, EventClassifier, or a list or mapping of them
        Run directories or files of weights. A column is named after its run, or by the key of the mapping.
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
    division : str, optional
        The split that the samples belong to (see :mod:`ecalnb.splits`); that of the models' recipes unless told.
    batch_size : int, optional
        Events in a batch; chosen for each model unless told.
    device : {"auto", "cpu", "cuda", "mps"}
        Where to compute.
    backend : {"auto", "torch", "onnxruntime"}
        What computes networks. Their logits differ by less than 1e-5 of the largest. ``auto`` is torch, and onnxruntime
        where many events are scored on a CPU and it turns out faster; the log and ``attrs`` say which it was.
    threads : int, optional
        Threads of either; as many as torch uses now unless told.
    **reading
        For ROOT files, what :func:`ecalnb.ntuples.iterate` takes: ``label``, ``schema``, ``bad_cells``, ...

    Returns
    -------
    pandas.DataFrame
        Columns ``file_id``, ``entry``, ``en3d`` (GeV), ``label``, ``split``, `columns`, and for each model its logits,
        which unlike probabilities do not saturate; in the order of the source, or of the file that was there.
        ``attrs["models"]`` says what each model is and what computed it.

    Raises
    ------
    TrainingError
        If weights cannot be loaded, are of another calorimeter, two have the same name, no event is left, an event
        occurs twice, or `output` holds other events.

    See Also
    --------
    predict_friends : ROOT files to friend trees.
    """
    if output is not None:
        check_output(output)  # before the work, not after it
    classifiers = load_models(models, (*BASE_COLUMNS, *columns))
    choice = Choice(split, selection, division_of(classifiers, division, split))
    opened = open_source(source)
    wanted = columns_for(selection, {*BASE_COLUMNS[:4], *columns, *needed_columns(classifiers)})
    events = count_events(opened, reading)
    settings: dict[str, Any] = {"backend": backend, "device": device, "threads": threads, "batch_size": batch_size}
    tables = []
    stream = parts(opened, wanted, reading)
    with (
        scorers(classifiers, events=events, **settings) as chosen,
        progress(total=events, description="scoring") as bar,
    ):
        for part in stream:
            tables.append(_table(chosen, part, choice, columns))
            bar.advance(len(part.table))
    scores = _joined(tables, choice)
    scores.attrs["models"] = {scorer.classifier.name: origin(scorer) for scorer in chosen}
    if output is not None:
        output = Path(output)
        if output.exists():
            scores = join_scores(read_scores(output), scores, output)
        write_scores(scores, output)
        log.info("%s: %d events, models %s", output, len(scores), ", ".join(scores.attrs["models"]))
    return scores


def _table(scorers: Sequence[Scorer], part: Part, choice: Choice, columns: Sequence[str]) -> pd.DataFrame:
    """Scores of the chosen events of a part."""
    table = part.table
    if missing := [name for name in dict.fromkeys([*KEY, "en3d", *columns]) if name not in table]:
        raise TrainingError(f"the event table has no column {', '.join(missing)}, which the scores table needs")
    rows, sample = choice.rows(table)
    scores = table[[*KEY, "en3d"]].iloc[rows].reset_index(drop=True)
    labels = table["label"] if "label" in table else pd.Series(None, index=table.index, dtype="string")
    scores["label"] = labels.astype("string").iloc[rows].reset_index(drop=True)
    scores["split"] = pd.Series(sample, dtype="string")
    for name in columns:
        scores[name] = table[name].to_numpy()[rows]
    for scorer, logits in zip(scorers, logits_of(scorers, part, rows), strict=True):
        scores[scorer.classifier.name] = logits
    return scores


def _joined(tables: list[pd.DataFrame], choice: Choice) -> pd.DataFrame:
    """All parts as one table in which each event occurs once."""
    full = [table for table in tables if len(table)]
    if not full:
        asked = f"in {', '.join(sorted(choice.samples))}" + (" after the selection" if choice.selection else "")
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
