"""The learning rate by a logarithmic grid search: a short training at each point, the best by the validation loss."""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from .._atomic import replacing
from .data import EventSource
from .errors import DivergenceError, TrainingError
from .fit import train
from .recipes import Recipe

__all__ = ["LearningRateScan", "scan_learning_rate"]

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class LearningRateScan:
    """What a grid search found.

    Parameters
    ----------
    path : Path
        Its folder, with ``learning_rates.csv`` and a run directory for each point.
    table : pandas.DataFrame
        One row a point: ``learning_rate``; ``val_loss``, ``val_auc`` and ``epoch`` of the epoch with the lowest
        validation loss (infinity, and missing, where the training diverged); ``run``, the name of the run directory.
    best : float
        The learning rate with the lowest validation loss.
    """

    path: Path
    table: pd.DataFrame = field(repr=False)
    best: float


def scan_learning_rate(
    store: EventSource | str | Path,
    model: str = "ecal_simple_cnn",
    output: str | Path = "training/scan",
    *,
    low: float = 1e-5,
    high: float = 1e-2,
    points: int = 7,
    epochs: int = 5,
    recipe: str | Path | Recipe = "geant4_sample",
    **options: Any,
) -> LearningRateScan:
    """Find the learning rate by short trainings on a logarithmic grid.

    All start from the same weights and see the same batches. Started again after a stop, the search goes on where it
    was: each point is a run directory. No test event takes part.

    Parameters
    ----------
    store, model, recipe
        As for :func:`ecalnb.training.train`.
    output : str or Path
        Folder of the search.
    low, high : float
        Ends of the grid, both in it.
    points : int
        Number of learning rates, 2 or more.
    epochs : int
        Epochs of each training; none stops early.
    **options
        Further arguments of :func:`ecalnb.training.train`, such as ``seed``, ``device``, and settings that win over the
        recipe.

    Returns
    -------
    LearningRateScan

    Raises
    ------
    TrainingError
        If the grid makes no sense, every training diverges, or as in :func:`ecalnb.training.train`.
    """
    if not 0 < low < high:
        raise TrainingError(f"the learning rates from {low:g} to {high:g} are no range; expected 0 < low < high")
    for name, value, least in (("points", points, 2), ("epochs", epochs, 1)):
        if value < least:
            raise TrainingError(f"{name} is {value}; expected {least} or more")
    for name in ("learning_rate", "max_epochs", "patience"):
        if name in options:
            raise TrainingError(f"{name} is set by the search; leave it out")
    output = Path(output)
    rows = []
    for number, rate in enumerate(np.geomspace(low, high, points), 1):
        rate = float(f"{rate:.4g}")
        name = f"{rate:.4g}"
        log.info("learning rate %s (%d of %d)", name, number, points)
        row: dict[str, Any] = {"learning_rate": rate, "val_loss": math.inf, "val_auc": math.nan, "epoch": pd.NA}
        try:
            run = train(
                store, model, output / name, recipe=recipe, learning_rate=rate, max_epochs=epochs, patience=epochs,
                **options,
            )  # fmt: skip
            lowest = run.history.iloc[int(run.history["val_loss"].argmin())]  # whatever the recipe monitors
            row |= {key: lowest[key] for key in ("val_loss", "val_auc", "epoch")}
        except DivergenceError as error:
            log.warning("learning rate %s: %s", name, error)
        rows.append({**row, "run": name})
    table = pd.DataFrame(rows).astype({"epoch": "Int64"})
    if not np.isfinite(table["val_loss"]).any():
        raise TrainingError(f"every training from {low:g} to {high:g} diverged; expected lower learning rates")
    best = int(table["val_loss"].argmin())
    if best in (0, points - 1):
        log.warning("the best learning rate is at the end of the grid; one beyond %s may be better", rows[best]["run"])
    with replacing(output / "learning_rates.csv", TrainingError) as temporary:
        table.to_csv(temporary, index=False)
    return LearningRateScan(output, table, rows[best]["learning_rate"])
