"""Scores tables: one row an event with its key, and one column of logits a model."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import numpy as np
import pandas as pd

from .._atomic import replacing
from .errors import TrainingError

__all__ = ["AMS_SCORES", "BASE_COLUMNS", "add_ams_scores", "check_output", "join_scores", "read_scores"]
__all__ += ["write_scores"]

log = logging.getLogger(__name__)

KEY = ["file_id", "entry"]

BASE_COLUMNS = (*KEY, "en3d", "label", "split")
"""Columns of every scores table; the others are models, and what the caller asked to carry along."""

AMS_SCORES = {"ecal_bdt": ("ams_bdt", "AMS BDT", 1), "ecal_likelihood": ("ams_likelihood", "AMS likelihood", -1)}
"""AMS's own scores in its ntuples: column of the event table, name and title as a model, and sign that makes electrons
high."""


def read_scores(path: str | Path) -> pd.DataFrame:
    """Read a scores table.

    Returns
    -------
    pandas.DataFrame
        ``file_id`` and ``entry`` (the event key), ``en3d`` (GeV), ``label``, ``split``, and a column of logits a model.
        ``attrs["models"]`` says what the models are.

    Raises
    ------
    TrainingError
        If the file is not a scores table.
    """
    path = Path(path)
    if not path.is_file():
        raise TrainingError(f"{path} does not exist; expected a scores table (Parquet)")
    try:
        scores = pd.read_parquet(path)
    except Exception as error:  # pyarrow raises its own kinds, and OSError
        raise TrainingError(f"{path} is not a readable Parquet file: {' '.join(str(error).split())}") from None
    if missing := [name for name in BASE_COLUMNS if name not in scores]:
        raise TrainingError(f"{path} is not a scores table; it has no column {', '.join(missing)}")
    return scores


def check_output(path: str | os.PathLike[str]) -> None:
    """Raise `TrainingError` if a scores table cannot be written to ``path``, or what is there is something else."""
    path = Path(path)
    if path.suffix != ".parquet" or path.is_dir():
        raise TrainingError(f"{path} is {'a folder' if path.is_dir() else 'no .parquet file'}; expected scores.parquet")
    if path.exists():
        read_scores(path)


def write_scores(scores: pd.DataFrame, path: str | Path) -> None:
    """Write a scores table, whole or not at all."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path, TrainingError) as temporary:
        scores.to_parquet(temporary, index=False)


def join_scores(old: pd.DataFrame, new: pd.DataFrame, where: str | Path = "the scores table") -> pd.DataFrame:
    """Add the models of one scores table to another of the same events, by the event key.

    A column that both have is taken from `new`.

    Parameters
    ----------
    old, new : pandas.DataFrame
        Scores tables; the rows may be in another order.
    where : str or Path
        What to call `old` in a message.

    Raises
    ------
    TrainingError
        If they do not hold the same events.
    """
    ours, theirs = pd.MultiIndex.from_frame(old[KEY]), pd.MultiIndex.from_frame(new[KEY])
    # Both are free of repetitions, so equal numbers and nothing new mean the same events.
    foreign = int((~theirs.isin(ours)).sum())
    if foreign or len(ours) != len(theirs):
        raise TrainingError(
            f"{where} holds {len(ours)} events and the new scores {len(theirs)}, of which {foreign} are not among "
            "them; models can be compared on the same events only: choose another output"
        )
    joined = old.copy()
    rows = theirs.get_indexer(ours)
    for name in new.columns:
        if name not in BASE_COLUMNS:
            if name in old:
                log.info("%s: column %s is replaced", where, name)
            joined[name] = new[name].to_numpy()[rows]
    joined.attrs = {**old.attrs, "models": {**old.attrs.get("models", {}), **new.attrs.get("models", {})}}
    return joined


def add_ams_scores(scores: pd.DataFrame) -> pd.DataFrame:
    """Turn AMS's own BDT and likelihood into models of a scores table, where the ntuples have them.

    Parameters
    ----------
    scores : pandas.DataFrame
        A scores table with some of the columns of :data:`AMS_SCORES`, which :func:`ecalnb.training.predict` carries
        along by ``columns=("ecal_bdt", "ecal_likelihood")``.

    Returns
    -------
    pandas.DataFrame
        A copy with the columns ``ams_bdt`` and ``ams_likelihood``, high for electrons, in place of AMS's. A score that
        no event has is left out, which the log says. An event without a score that others have is ranked below all:
        AMS's cut would not select it.
    """
    result = scores.drop(columns=list(AMS_SCORES), errors="ignore")
    models = dict(scores.attrs.get("models", {}))
    for column, (name, title, sign) in AMS_SCORES.items():
        values = sign * scores[column].to_numpy(dtype=float) if column in scores else np.full(len(scores), np.nan)
        lacking = int(np.isnan(values).sum())
        if lacking == len(scores):
            log.info("%s is left out: no event has %s", title, column)
            continue
        if lacking:
            log.warning("%s: %d of %d events have no %s and rank below all others", title, lacking, len(scores), column)
        result[name] = np.where(np.isnan(values), -np.inf, values)
        models[name] = {"model": name, "title": title}
    result.attrs = {**scores.attrs, "models": models}
    return result
