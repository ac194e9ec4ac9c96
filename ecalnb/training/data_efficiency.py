"""How many events a model needs: the same training on nested parts of the training events.

All trainings of a study make the same number of gradient steps between two validations, and at most the same number in
all: an epoch goes through few events several times, and through a part of many. So what differs is how many different
events a model has seen, and not how long it has been trained. Which epoch is the best, and when to stop, is decided on
the same validation events for all.

Each training is a run directory. A study that was stopped goes on where it was.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from .._toml import DATA
from ..metrics import DataEfficiency
from ..models.conventional import METHODS
from .batches import EventSource
from .data import Selection
from .errors import TrainingError
from .fit import train
from .predict import predict
from .rundir import TrainingRun
from .scores import read_scores

__all__ = ["RUN_COLUMNS", "measured_efficiency", "nested_sizes", "score_runs", "train_on_subsets"]

log = logging.getLogger(__name__)

RUN_COLUMNS = {
    "run": "name of the training, <model>.<events>.seed<seed>",
    "model": "the architecture",
    "events": "training events, of both classes together",
    "seed": "seed of the training and of the choice of its events",
    "passes": "how often each event was seen, on average; of a BDT, once for all trees",
    "epochs": "epochs trained",
    "steps": "gradient steps; of a BDT, trees",
    "best_epoch": "epoch whose weights are kept",
    "val_loss": "its loss on validation events",
    "val_auc": "its area under the ROC curve on validation events",
    "seconds": "time that the training took; missing for a BDT",
    "path": "the run directory",
}
"""Columns of the table of runs, and what they hold."""


def nested_sizes(largest: int, points: int, ratio: int = 3) -> list[int]:
    """Numbers of events, each so many times the one before, the last as near below `largest` as whole numbers allow.

    Raises
    ------
    TrainingError
        If there are not events enough.

    Examples
    --------
    >>> nested_sizes(21805, 5)
    [269, 807, 2421, 7263, 21789]
    """
    smallest = largest // ratio ** (points - 1) if points > 0 and ratio > 1 else 0
    if smallest < 2:
        raise TrainingError(f"{largest} events make no {points} points that grow by {ratio}; expected fewer points")
    return [smallest * ratio**point for point in range(points)]


def train_on_subsets(
    store: EventSource | str | Path,
    model: str,
    output: str | Path,
    sizes: Sequence[int],
    *,
    seeds: Sequence[int] = (1, 2, 3),
    epoch_events: int = 0,
    **settings: Any,
) -> pd.DataFrame:
    """Train a model on parts of the training events, several times each.

    Parameters
    ----------
    store : Store, str or Path
        The events, or the directory of a store.
    model : str
        One of :func:`ecalnb.models.list_models`, or the BDT or likelihood.
    output : str or Path
        Folder of the run directories.
    sizes : sequence of int
        Numbers of training events. With the same seed, those of a smaller number are among those of a larger one.
    seeds : sequence of int
        Seeds; each number of events is trained on once with each. All sizes come first with the first seed.
    epoch_events : int
        Training events in an epoch, repetitions included; the largest of `sizes` unless told. Trees know no epochs.
    **settings
        Arguments of :func:`ecalnb.training.train`, and settings that win over the recipe.

    Returns
    -------
    pandas.DataFrame
        A row for each training with the columns of `RUN_COLUMNS`.

    Raises
    ------
    TrainingError
        If sizes or seeds are none or occur twice, or as in :func:`ecalnb.training.train`.
    """
    for name, values in (("sizes", sizes), ("seeds", seeds)):
        if not values or len(set(values)) < len(values):
            raise TrainingError(f"{name} are {list(values)}; expected one or more, each once")
    for name in ("train_events", "seed"):
        if name in settings:
            raise TrainingError(f"{name} is set by the study; leave it out")
    epochs: dict[str, Any] = {} if model in METHODS else {"epoch_events": epoch_events or max(sizes)}
    rows: list[dict[str, Any]] = []
    for seed in seeds:
        for events in sizes:
            name = f"{model}.{events}.seed{seed}"
            log.info("%s (%d of %d)", name, len(rows) + 1, len(sizes) * len(seeds))
            run = train(store, model, Path(output) / name, seed=seed, train_events=events, **epochs, **settings)
            rows.append(_row(name, model, events, seed, run))
    return pd.DataFrame(rows, columns=list(RUN_COLUMNS))


def _row(name: str, model: str, events: int, seed: int, run: TrainingRun) -> dict[str, Any]:
    epoch_events = run.info["recipe"].get("epoch_events", 0)
    return {
        "run": name,
        "model": model,
        "events": events,
        "seed": seed,
        "passes": len(run.history) * epoch_events / events if epoch_events else 1.0,
        "epochs": len(run.history),
        "steps": int(run.history["step"].max()),
        "best_epoch": int(run.best["epoch"]),
        "val_loss": run.best["val_loss"],
        "val_auc": run.best["val_auc"],
        "seconds": run.info["environment"].get("seconds"),
        "path": str(run.path),
    }


def score_runs(
    runs: pd.DataFrame,
    store: EventSource | str | Path,
    output: str | Path,
    *,
    split: str = "test",
    selection: Selection | None = None,
    **settings: Any,
) -> pd.DataFrame:
    """Score events by every training of a study.

    What is in the table already is not computed again, unless the training is another one now.

    Parameters
    ----------
    runs : pandas.DataFrame
        As :func:`train_on_subsets` returns it; tables of several models may be put together.
    store : Store, str or Path
        The events.
    output : str or Path
        Scores table (Parquet), written after each training.
    split, selection, **settings
        As for :func:`ecalnb.training.predict`.

    Returns
    -------
    pandas.DataFrame
        The scores table, with a column for each training.

    Raises
    ------
    TrainingError
        As in :func:`ecalnb.training.predict`.
    """
    output = Path(output)
    known = read_scores(output).attrs.get("models", {}) if output.exists() else {}
    for row in runs.to_dict("records"):
        was = known.get(row["run"], {})
        best = was.get("validation") or {}
        if was.get("seed") == row["seed"] and best.get("val_loss") == row["val_loss"]:
            continue
        predict({row["run"]: row["path"]}, store, output=output, split=split, selection=selection, **settings)
    return read_scores(output)


def measured_efficiency(path: str | Path | None = None) -> tuple[DataEfficiency, dict[str, str]]:
    """Read a study that was made earlier: that of the large models, which comes with the package, unless told.

    Returns
    -------
    study : ecalnb.metrics.DataEfficiency
        Its runs, points and fits.
    conditions : dict of str to str
        What it holds for: events, settings, and the version of the code, in words.

    Raises
    ------
    TrainingError
        If the file is not one of a study.
    """
    path = DATA / "data_efficiency.json" if path is None else Path(path)
    try:
        content = json.loads(path.read_text())
        return DataEfficiency.from_dict(content), dict(content["conditions"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise TrainingError(f"{path} does not hold a study of data efficiency: {error}") from None
