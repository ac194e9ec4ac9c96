"""The same training with several adaptations and seeds: the runs that a comparison of methods needs."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from .batches import EventSource
from .errors import TrainingError
from .fit import train

__all__ = ["train_adaptations"]

log = logging.getLogger(__name__)


def train_adaptations(
    source: EventSource | str | Path,
    target: EventSource | str | Path,
    model: str,
    output: str | Path,
    methods: Mapping[str, Mapping[str, Any]],
    *,
    seeds: Sequence[int] = (1, 2, 3),
    **settings: Any,
) -> pd.DataFrame:
    """Train a model with several methods of adaptation, several times each.

    A study that was stopped goes on where it was.

    Parameters
    ----------
    source, target : Store, str or Path
        The labelled events, and those of the target.
    model : str
        One of :func:`ecalnb.models.list_models`.
    output : str or Path
        Folder of the run directories, ``<model>.<method>.seed<seed>``.
    methods : mapping of str to mapping
        Settings of the adaptation of each method, by a name for it; the names say what the runs are called.
    seeds : sequence of int
        Seeds; each method is trained once with each, all with the first seed first.
    **settings
        Arguments of :func:`ecalnb.training.train`, and settings that win over the recipe.

    Returns
    -------
    pandas.DataFrame
        A row for each run: ``run``, ``model``, ``method``, ``events`` (of the source to train on), ``seed``,
        ``epochs``, ``best_epoch``, ``val_loss`` and ``val_auc`` of the source, ``target_share`` (estimated share of
        signal), ``path``. With the method for the model, :func:`ecalnb.training.score_runs` and
        :func:`ecalnb.metrics.rejection_against_events` take it.

    Raises
    ------
    TrainingError
        If there are no methods, or seeds are none or occur twice, or as in :func:`ecalnb.training.train`.
    """
    if not methods:
        raise TrainingError("there are no methods; expected settings of one or more adaptations")
    if not seeds or len(set(seeds)) < len(seeds):
        raise TrainingError(f"seeds are {list(seeds)}; expected one or more, each once")
    rows: list[dict[str, Any]] = []
    for seed in seeds:
        for method, adaptation in methods.items():
            name = f"{model}.{method}.seed{seed}"
            log.info("%s (%d of %d)", name, len(rows) + 1, len(seeds) * len(methods))
            run = train(
                source, model, Path(output) / name, seed=seed, target=target, adaptation=dict(adaptation), **settings
            )
            rows.append(
                {
                    "run": name,
                    "model": model,
                    "method": method,
                    "events": sum(run.info["data"]["events"]["train"].values()),
                    "seed": seed,
                    "epochs": len(run.history),
                    "best_epoch": int(run.best["epoch"]),
                    "val_loss": run.best["val_loss"],
                    "val_auc": run.best["val_auc"],
                    "target_share": run.info["adaptation"]["shares"][-1][0],
                    "path": str(run.path),
                }
            )
    return pd.DataFrame(rows)
