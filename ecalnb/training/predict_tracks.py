"""Prediction of numbers of the track: theta, position or the whole axis of showers, with their uncertainties."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch

from .._progress import progress
from ..geometry import Calorimeter
from ..reconstruction import Quality, ShowerAxes
from . import _runtime
from .data import Selection, columns_for
from .errors import TrainingError
from .scores import BASE_COLUMNS, KEY, write_scores
from .scoring import Choice
from .sources import Part, PathLike, Source, count_events, open_source, parts
from .targets import AxisTarget
from .track_predictor import TrackPredictor, load_track_predictor

__all__ = ["predict_axes", "predict_tracks"]

log = logging.getLogger(__name__)

FloatArray = npt.NDArray[np.float64]

_LAYERS = 2  # of each view with energy that a straight line needs
_CELL = 1e-3  # GeV: what counts as energy in a layer, above noise and dust


def predict_tracks(
    weights: PathLike | TrackPredictor,
    source: Source,
    *,
    split: str | Sequence[str] | None = None,
    output: PathLike | None = None,
    selection: Selection | None = None,
    columns: Sequence[str] = (),
    division: str | None = None,
    batch_size: int = 512,
    device: str = "auto",
    threads: int | None = None,
    **reading: Any,
) -> pd.DataFrame:
    """Predict numbers of the track of events.

    Parameters
    ----------
    weights : path or TrackPredictor
        Run directory, file or name of weights.
    source : Store, Showers, path or list of paths
        The events. ROOT files are read in chunks.
    split : str or list of str, optional
        Only the events of these samples, for example ``"test"``; all unless told.
    output : path, optional
        Parquet file to write; one that is there is replaced.
    selection : callable, optional
        Cut on the event table.
    columns : list of str
        Further columns of the event table to carry along.
    division : str, optional
        The split that the samples belong to; that of the weights' recipe unless told.
    batch_size : int
        Events in a batch.
    device : {"auto", "cpu", "cuda", "mps"}
        Where to compute.
    threads : int, optional
        Threads of torch.
    **reading
        For ROOT files, what :func:`ecalnb.ntuples.iterate` takes.

    Returns
    -------
    pandas.DataFrame
        ``file_id``, ``entry``, ``en3d`` (GeV), ``label``, ``split``, `columns`; and of the target ``theta`` (rad), or
        ``x0`` and ``y0`` (mm), with ``theta_error``, ..., or of an axis the columns of
        :meth:`ecalnb.reconstruction.ShowerAxes.to_table`. In the order of the source.

    Raises
    ------
    TrainingError
        If weights cannot be loaded, are of another calorimeter, or no event is left.
    """
    if output is not None and Path(output).suffix != ".parquet":
        raise TrainingError(f"{output} is no .parquet file; expected a file for a table, such as axes.parquet")
    predictor = weights if isinstance(weights, TrackPredictor) else load_track_predictor(os.fspath(weights))
    recipe = predictor.info.get("recipe", {})
    choice = Choice(split, selection, division or recipe.get("split", "default"))
    opened = open_source(source)
    wanted = columns_for(selection, {*BASE_COLUMNS[:4], *columns, *predictor.inputs.columns})
    predictor.model.to(_runtime.pick_device(device))
    stream = parts(opened, wanted, reading)
    events = count_events(opened, reading)
    with _runtime.thread_number(threads), progress(total=events, description="reconstruction") as bar:
        tables = []
        for part in stream:
            tables.append(_table(predictor, part, choice, columns, batch_size))
            bar.advance(len(part.table))
    table = pd.concat(tables, ignore_index=True) if tables else pd.DataFrame()
    if table.empty:
        raise TrainingError(f"the source has no event in {', '.join(sorted(choice.samples))}; nothing to predict")
    table.attrs["model"] = {"name": predictor.name, "model": predictor.info["model"], "recipe": recipe.get("name")}
    if output is not None:
        write_scores(table, Path(output))
        log.info("%s: %s of %d events by %s", output, predictor.target.name, len(table), predictor.name)
    return table


def predict_axes(weights: PathLike | TrackPredictor, source: Source, **options: Any) -> ShowerAxes:
    """Shower axes by a network, as the conventional methods give them.

    Parameters
    ----------
    weights : path or TrackPredictor
        Of a network for the whole axis, for example ``"ecal_axis_joint.fast"``.
    source : Store, Showers, path or list of paths
        The events.
    **options
        As :func:`predict_tracks` takes them, ``split`` and ``selection`` among them.

    Returns
    -------
    ShowerAxes
        Of the chosen events in the order of the source, with calibrated errors. Events that a line cannot be drawn
        through have NaN and a `Quality` that says why.

    Raises
    ------
    TrainingError
        As :func:`predict_tracks`, or if the network predicts something else.
    """
    predictor = weights if isinstance(weights, TrackPredictor) else load_track_predictor(os.fspath(weights))
    if not isinstance(predictor.target, AxisTarget):
        raise TrainingError(f"{predictor.path} predicts the {predictor.target.name}; expected a network for the axis")
    return ShowerAxes.from_table(predict_tracks(predictor, source, **options))


def _table(
    predictor: TrackPredictor, part: Part, choice: Choice, columns: Sequence[str], batch_size: int
) -> pd.DataFrame:
    """Key, description and prediction of the chosen events of a part."""
    if (predictor.geometry.shape, predictor.geometry.views) != (part.geometry.shape, part.geometry.views):
        raise TrainingError(
            f"{predictor.path} was trained on showers of {predictor.geometry.name}, not of {part.geometry.name}"
        )
    table = part.table
    needed = dict.fromkeys([*KEY, "en3d", *columns, *predictor.inputs.columns])
    if missing := [name for name in needed if name not in table]:
        raise TrainingError(f"the event table has no column {', '.join(missing)}, which the prediction needs")
    rows, sample = choice.rows(table)
    result = table[[*KEY, "en3d"]].iloc[rows].reset_index(drop=True)
    labels = table["label"] if "label" in table else pd.Series(None, index=table.index, dtype="string")
    result["label"] = labels.astype("string").iloc[rows].reset_index(drop=True)
    result["split"] = pd.Series(sample, dtype="string")
    for name in columns:
        result[name] = table[name].to_numpy()[rows]
    found, errors, quality = _predicted(predictor, part, rows, batch_size)
    if isinstance(predictor.target, AxisTarget):
        names = (*predictor.target.components, *(f"{name}_error" for name in predictor.target.components))
        axes = ShowerAxes(**dict(zip(names, (*found.T, *errors.T), strict=True)), quality=quality)
        return pd.concat([result, axes.to_table()], axis=1)
    for index, name in enumerate(predictor.target.components):
        result[name], result[f"{name}_error"] = found[:, index], errors[:, index]
    return result


def _predicted(
    predictor: TrackPredictor, part: Part, rows: npt.NDArray[np.int64], batch_size: int
) -> tuple[FloatArray, FloatArray, npt.NDArray[np.int8]]:
    """Components, errors and quality of some events of a part, (n, k), (n, k) and (n,)."""
    k = len(predictor.target.components)
    found, errors, quality = np.empty((len(rows), k)), np.empty((len(rows), k)), np.empty(len(rows), dtype=np.int8)
    for start, some in _batches(rows, batch_size):
        cells = part.cells(some)
        here = slice(start, start + len(some))
        quality[here] = _quality(cells, predictor.geometry)
        batch = {
            name: torch.from_numpy(part.table[name].to_numpy(dtype=np.float32)[some])
            for name in predictor.inputs.columns
        }
        batch["cells"] = torch.from_numpy(np.where(np.isfinite(cells), cells, np.float32(0)))
        found[here], errors[here] = predictor.predict(batch)
    bad = quality != Quality.GOOD
    found[bad], errors[bad] = np.nan, np.nan
    return found, errors, quality


def _batches(rows: npt.NDArray[np.int64], size: int) -> Iterator[tuple[int, npt.NDArray[np.int64]]]:
    return ((start, rows[start : start + size]) for start in range(0, len(rows), size))


def _quality(cells: npt.NDArray[np.float32], geometry: Calorimeter) -> npt.NDArray[np.int8]:
    """Whether showers (n, layers, cells) have what it takes to draw a line through them, (n,)."""
    finite = np.isfinite(cells).all(axis=(1, 2))
    hit = np.nan_to_num(cells).max(axis=2) > _CELL
    few = np.logical_or.reduce([hit[:, geometry.layers(view)].sum(axis=1) < _LAYERS for view in ("x", "y")])
    conditions = [~finite, ~hit.any(axis=1), few]
    return np.select(conditions, [Quality.BAD_CELLS, Quality.NO_ENERGY, Quality.FEW_LAYERS], Quality.GOOD).astype(
        np.int8
    )
