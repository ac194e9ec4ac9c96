"""Augmentation: changes of an event that leave the physics alone, drawn anew for each event of a training batch.

The track moves with the cells, so that inputs about the track see the same event from another side; and so do the
numbers of the track that a network is trained to say.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch

from .._toml import near
from ..geometry import Calorimeter, View
from .errors import TrainingError
from .scales import Batch
from .targets import Target, TrackTarget
from .track import TRACK_COLUMNS

__all__ = ["Augmentation", "make_augmentation"]

Augmentation = Callable[[Batch], Batch]
"""From a batch to one with the same events changed, with torch's random numbers; the batch that was given stays."""

_NOISE = 0.01
"""Relative width of the noise: the precision of the cells' calibration (Y. Xiong and H. Chen)."""

_MAX_SHIFT = 8  # cells: the showers of a contained sample stay inside
_MOVED = (*TRACK_COLUMNS, "en3d")
"""Columns whose change is known: those of the track move with the cells, the energy stays what it is."""


def _layers(geometry: Calorimeter, view: View, device: torch.device) -> torch.Tensor:
    return torch.as_tensor(geometry.layers(view), device=device)


def _mirror(batch: Batch, geometry: Calorimeter, target: TrackTarget | None) -> Batch:
    """Mirror x, y or both, each with probability one half: the calorimeter is its own mirror image."""
    batch = {**batch, "cells": batch["cells"].clone()}
    cells = batch["cells"]
    for view in ("x", "y"):
        layers = _layers(geometry, view, cells.device)
        chosen = torch.rand(len(cells), device=cells.device) < 0.5
        part = cells[:, layers]
        cells[:, layers] = torch.where(chosen[:, None, None], part.flip(-1), part)
        if (name := f"track_{view}") in batch:
            batch[name] = torch.where(chosen, -batch[name], batch[name])
        if (azimuth := batch.get("track_azimuth")) is not None:
            mirrored = math.pi - azimuth if view == "x" else -azimuth
            batch["track_azimuth"] = torch.where(chosen, mirrored, azimuth)
        if target is not None:
            batch["target"] = target.mirror(batch["target"], view, chosen)
    return batch


def _shift(batch: Batch, geometry: Calorimeter, target: TrackTarget | None) -> Batch:
    """Move the shower sideways by whole cells in each view; what leaves through a side is lost, as in the detector."""
    batch = {**batch, "cells": batch["cells"].clone()}
    cells = batch["cells"]
    columns = torch.arange(geometry.n_cells, device=cells.device)
    for view in ("x", "y"):
        layers = _layers(geometry, view, cells.device)
        steps = torch.randint(-_MAX_SHIFT, _MAX_SHIFT + 1, (len(cells), 1), device=cells.device)
        source = columns - steps
        inside = ((source >= 0) & (source < geometry.n_cells))[:, None]
        index = source.clamp(0, geometry.n_cells - 1)[:, None].expand(-1, len(layers), -1)
        cells[:, layers] = torch.where(inside, cells[:, layers].gather(-1, index), 0.0)
        if (name := f"track_{view}") in batch:
            batch[name] = batch[name] + steps.squeeze(1) * geometry.cell_pitch
        if target is not None:
            batch["target"] = target.shift(batch["target"], view, steps.squeeze(1) * geometry.cell_pitch)
    return batch


def _noise(batch: Batch, geometry: Calorimeter, target: TrackTarget | None) -> Batch:  # noqa: ARG001
    """Multiply each cell by a number near 1."""
    cells = batch["cells"]
    return {**batch, "cells": cells * (1 + _NOISE * torch.randn_like(cells))}


_AUGMENTATIONS: dict[str, Callable[[Batch, Calorimeter, TrackTarget | None], Batch]] = {
    "mirror": _mirror,
    "shift": _shift,
    "noise": _noise,
}


def make_augmentation(
    names: Sequence[str], geometry: Calorimeter, columns: Sequence[str] = (), target: Target | None = None
) -> Augmentation | None:
    """Augmentation that does the named changes in order; None if there is none.

    Parameters
    ----------
    names : sequence of str
        ``mirror`` (x, y, each with probability one half), ``shift`` (up to 8 cells in each view), ``noise`` (1 % of the
        energy of each cell, Gaussian).
    geometry : Calorimeter
        The calorimeter of the images.
    columns : sequence of str
        Columns that the inputs use beside the cells. Those of the track change with the cells; others that would have
        to are refused.
    target : Target, optional
        What the network is trained to say; numbers of the track change with the cells.

    Raises
    ------
    TrainingError
        If there is no such augmentation, or it is not known how a column changes with it.
    """
    for name in names:
        if name not in _AUGMENTATIONS:
            known = ", ".join(_AUGMENTATIONS)
            raise TrainingError(f"augmentation {name!r} does not exist; expected {known}{near(name, _AUGMENTATIONS)}")
    if names and (unknown := [column for column in columns if column not in _MOVED]):
        raise TrainingError(
            f"how augmentation changes {', '.join(unknown)}, which the inputs use, is not known; "
            f"it can be used with {', '.join(_MOVED)}"
        )
    if not names:
        return None
    tracks = target if isinstance(target, TrackTarget) else None

    def augment(batch: Batch) -> Batch:
        for name in names:
            batch = _AUGMENTATIONS[name](batch, geometry, tracks)
        return batch

    return augment
