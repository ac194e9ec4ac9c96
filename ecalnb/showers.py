"""Showers: calorimeter images with one table row each, the one event container of the package."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from .geometry import AMS, Calorimeter, Tracks

__all__ = ["Showers"]


@dataclass
class Showers:
    """Events: an image of cell energies and a row of quantities each.

    Parameters
    ----------
    images : array_like, shape (n, n_layers, n_cells)
        Cell energies, GeV; layer 0 is the one first hit by a downgoing particle. Kept as float32.
    table : pandas.DataFrame
        One row an event, with the canonical columns of :mod:`ecalnb.ntuples`. The index is reset.
    geometry : Calorimeter
        The calorimeter that the images are of.
    metadata : dict
        Where the events come from, as text and numbers.

    Raises
    ------
    ValueError
        If the images do not have the shape of the calorimeter, or images and rows differ in number.
    """

    images: npt.NDArray[np.float32]
    table: pd.DataFrame
    geometry: Calorimeter = AMS
    metadata: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.images = np.asarray(self.images, dtype=np.float32)
        if self.images.ndim != 3 or self.images.shape[1:] != self.geometry.shape:
            raise ValueError(
                f"images have shape {self.images.shape}; {self.geometry.name} needs (n, "
                f"{self.geometry.n_layers}, {self.geometry.n_cells})"
            )
        if len(self.images) != len(self.table):
            raise ValueError(f"{len(self.images)} images do not go with {len(self.table)} table rows")
        self.table = self.table.reset_index(drop=True)

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, events: slice | Sequence[int] | npt.NDArray[Any] | pd.Series) -> Showers:
        """Events by slice, list of positions or boolean mask. For one event ask for ``showers[[i]]``."""
        if isinstance(events, (int, np.integer)):
            raise TypeError(f"showers[{events}] is ambiguous; ask for showers[[{events}]] or showers.images[{events}]")
        chosen = events if isinstance(events, slice) else np.asarray(events)
        return Showers(self.images[chosen], self.table.iloc[chosen], self.geometry, self.metadata)

    def __repr__(self) -> str:
        labels = self.table["label"].value_counts().to_dict() if "label" in self.table else {}
        kinds = ", ".join(f"{count} {label}" for label, count in labels.items()) or "no labels"
        return f"<Showers: {len(self)} events in {self.geometry.name} ({kinds})>"

    @property
    def layer_energies(self) -> npt.NDArray[np.float64]:
        """Energy of each layer, GeV, shape (n, n_layers)."""
        return self.images.sum(axis=2, dtype=np.float64)

    @property
    def energies(self) -> npt.NDArray[np.float64]:
        """Sum of all cells in GeV, shape (n,), not corrected for leakage, unlike ``table["en3d"]``."""
        return self.images.sum(axis=(1, 2), dtype=np.float64)

    @property
    def tracks(self) -> Tracks:
        """The tracker tracks, from the columns ``track_x``, ``track_y``, ``track_inclination``, ``track_azimuth``."""
        return Tracks.from_table(self.table)

    def select(self, cut: Callable[[pd.DataFrame], npt.ArrayLike]) -> Showers:
        """Events whose table rows pass ``cut``, for example a :class:`ecalnb.selection.Cut`."""
        return self[np.asarray(cut(self.table), dtype=bool)]

    def batches(self, size: int) -> Iterator[Showers]:
        """Consecutive parts of at most ``size`` events."""
        for start in range(0, len(self), size):
            yield self[start : start + size]

    @staticmethod
    def concatenate(parts: Sequence[Showers]) -> Showers:
        """Put events of one calorimeter together; columns that a part lacks are missing values there."""
        if not parts:
            raise ValueError("no showers to concatenate")
        if others := {part.geometry.name for part in parts if part.geometry != parts[0].geometry}:
            raise ValueError(f"cannot mix showers of {parts[0].geometry.name} with those of {', '.join(others)}")
        first = parts[0].metadata
        shared = {key: first[key] for key in first if all(part.metadata.get(key) == first[key] for part in parts)}
        return Showers(
            np.concatenate([part.images for part in parts]),
            pd.concat([part.table for part in parts], ignore_index=True),
            parts[0].geometry,
            shared,
        )
