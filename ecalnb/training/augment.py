"""Augmentation: changes of an image that leave the physics alone, drawn anew for each event of a training batch."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch

from .._toml import near
from ..geometry import Calorimeter, View
from .errors import TrainingError

__all__ = ["Augmentation", "make_augmentation"]

Augmentation = Callable[[torch.Tensor], torch.Tensor]
"""From cells (n, layers, cells) to cells of the same shape, with torch's random numbers."""

_MAX_SHIFT = 8  # cells: the showers of a contained sample stay inside


def _layers(geometry: Calorimeter, view: View, device: torch.device) -> torch.Tensor:
    return torch.as_tensor(geometry.layers(view), device=device)


def _mirror(cells: torch.Tensor, geometry: Calorimeter) -> torch.Tensor:
    """Mirror x, y or both, each with probability one half: the calorimeter is its own mirror image."""
    cells = cells.clone()
    for view in ("x", "y"):
        layers = _layers(geometry, view, cells.device)
        chosen = torch.rand(len(cells), device=cells.device) < 0.5
        part = cells[:, layers]
        cells[:, layers] = torch.where(chosen[:, None, None], part.flip(-1), part)
    return cells


def _shift(cells: torch.Tensor, geometry: Calorimeter) -> torch.Tensor:
    """Move the shower sideways by whole cells in each view; what leaves through a side is lost, as in the detector."""
    columns = torch.arange(geometry.n_cells, device=cells.device)
    cells = cells.clone()
    for view in ("x", "y"):
        layers = _layers(geometry, view, cells.device)
        steps = torch.randint(-_MAX_SHIFT, _MAX_SHIFT + 1, (len(cells), 1), device=cells.device)
        source = columns - steps
        inside = ((source >= 0) & (source < geometry.n_cells))[:, None]
        index = source.clamp(0, geometry.n_cells - 1)[:, None].expand(-1, len(layers), -1)
        cells[:, layers] = torch.where(inside, cells[:, layers].gather(-1, index), 0.0)
    return cells


_AUGMENTATIONS: dict[str, Callable[[torch.Tensor, Calorimeter], torch.Tensor]] = {"mirror": _mirror, "shift": _shift}


def make_augmentation(names: Sequence[str], geometry: Calorimeter, columns: Sequence[str] = ()) -> Augmentation | None:
    """Augmentation that does the named changes in order; None if there is none.

    Parameters
    ----------
    names : sequence of str
        ``mirror`` (x, y, each with probability one half), ``shift`` (up to 8 cells in each view).
    geometry : Calorimeter
        The calorimeter of the images.
    columns : sequence of str
        Columns that the inputs use beside the cells; they would have to be changed too.

    Raises
    ------
    TrainingError
        If there is no such augmentation, or the inputs use more than the cells.
    """
    for name in names:
        if name not in _AUGMENTATIONS:
            known = ", ".join(_AUGMENTATIONS)
            raise TrainingError(f"augmentation {name!r} does not exist; expected {known}{near(name, _AUGMENTATIONS)}")
    if names and columns:
        raise TrainingError(f"augmentation changes the cells only, but the inputs also use {', '.join(columns)}")
    if not names:
        return None

    def augment(cells: torch.Tensor) -> torch.Tensor:
        for name in names:
            cells = _AUGMENTATIONS[name](cells, geometry)
        return cells

    return augment
