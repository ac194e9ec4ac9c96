"""The events of a store with their axes by all methods, conventional ones and networks: what studies compare."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from ..geometry import Tracks
from ..reconstruction import AxisParameters, ShowerAxes, axis_residuals, reconstruct, true_axes
from ..store import Store
from .predict_tracks import predict_axes
from .track_predictor import load_track_predictor

__all__ = ["AxisSample", "axis_sample"]

BATCH = 20_000
"""Showers held in memory at once."""


@dataclass(frozen=True, eq=False)
class AxisSample:
    """Events with what several methods make of their axis.

    Parameters
    ----------
    table : DataFrame
        The events' rows, without the cells.
    axes : mapping of str to ShowerAxes
        Axes by method, of the same events.
    """

    table: pd.DataFrame
    axes: Mapping[str, ShowerAxes]

    def __len__(self) -> int:
        return len(self.table)

    @property
    def energy(self) -> npt.NDArray[np.float64]:
        """True momentum, GeV: for electrons and photons, their energy."""
        return self.table["momentum"].to_numpy(dtype=float)

    @property
    def truth(self) -> Tracks:
        """True axes."""
        return true_axes(self.table)

    @property
    def tracks(self) -> Tracks:
        """Tracks of the tracker, extrapolated to the front face."""
        return Tracks.from_table(self.table)

    def residuals(self, method: str, against: Tracks | None = None, *, depth: float = 0.0) -> pd.DataFrame:
        """Residuals of a method against the truth, or other tracks (:func:`ecalnb.reconstruction.axis_residuals`)."""
        return axis_residuals(self.axes[method], self.truth if against is None else against, depth=depth)


def axis_sample(
    store: Store,
    methods: Sequence[str],
    networks: Mapping[str, str | Path] | None = None,
    *,
    split: str | None = "test",
    division: str = "default",
    label: str | None = None,
    calibration: AxisParameters | str | Path = "geant4",
) -> AxisSample:
    """Reconstruct events of a store by several methods.

    Parameters
    ----------
    store : Store
        The events.
    methods : sequence of str
        Conventional methods (:func:`ecalnb.reconstruction.list_methods`).
    networks : mapping of str to path, optional
        Weights of networks for the axis, by the name that they get.
    split : str or None
        Sample of the events; None for all.
    division : str
        The split that it belongs to.
    label : str, optional
        Only events with this label.
    calibration : AxisParameters, str or Path
        Of the conventional methods.

    Returns
    -------
    AxisSample

    Raises
    ------
    ValueError
        If no event is left.
    """
    wanted = np.ones(len(store), dtype=bool) if split is None else store.splits(division) == split
    if label is not None:
        wanted &= (store.table(["label"])["label"] == label).to_numpy()
    rows = np.flatnonzero(wanted)
    if not len(rows):
        raise ValueError(f"{store.path} has no event of the sample {split!r} of {division!r} with the label {label!r}")
    predictors = {name: load_track_predictor(path) for name, path in (networks or {}).items()}
    parts: dict[str, list[pd.DataFrame]] = {name: [] for name in (*methods, *predictors)}
    for some in _batches(rows):
        showers = store.showers(some)
        for method in methods:
            parts[method].append(reconstruct(showers, method, calibration=calibration).to_table())
        for name, predictor in predictors.items():
            parts[name].append(predict_axes(predictor, showers).to_table())
    axes = {name: ShowerAxes.from_table(pd.concat(tables, ignore_index=True)) for name, tables in parts.items()}
    return AxisSample(store.table(rows=rows).reset_index(drop=True), axes)


def _batches(rows: npt.NDArray[np.intp]) -> Iterator[npt.NDArray[np.intp]]:
    return (rows[start : start + BATCH] for start in range(0, len(rows), BATCH))
