"""The tracker's track in a batch of torch tensors: where it crosses each layer, and the cells about it.

The same arithmetic as :meth:`ecalnb.geometry.Calorimeter.project` and ``cell_at``, which the tests compare it with, in
operations that run on a GPU and can be exported to ONNX.
"""

from __future__ import annotations

import torch

from ..geometry import Calorimeter
from .scales import Batch

__all__ = ["TRACK_COLUMNS", "TRACK_PARTS", "depth_crossed", "track_coordinates", "track_window"]

TRACK_PARTS = ("x", "y", "inclination", "azimuth")
"""What makes a track, in the columns ``track_...`` of the tracker's and ``true_...`` of the particle's own."""

TRACK_COLUMNS = ("track_x", "track_y", "track_inclination", "track_azimuth")
"""Columns of an event table that make a track: position at the front face (mm) and direction (rad)."""


def _layer_depths(geometry: Calorimeter, like: torch.Tensor) -> torch.Tensor:
    return torch.tensor(geometry.layer_depths.tolist(), dtype=like.dtype, device=like.device)


def track_coordinates(batch: Batch, geometry: Calorimeter) -> torch.Tensor:
    """Coordinate of the tracks at the middle of each layer, in the view that it measures, (n, layers), mm."""
    x, y, inclination, azimuth = (batch[name].unsqueeze(1) for name in TRACK_COLUMNS)
    depth = _layer_depths(geometry, x)
    slope = torch.tan(inclination)
    measures_x = torch.tensor([view == "x" for view in geometry.views], device=x.device)
    return torch.where(measures_x, x + slope * torch.cos(azimuth) * depth, y + slope * torch.sin(azimuth) * depth)


def depth_crossed(batch: Batch, geometry: Calorimeter) -> torch.Tensor:
    """Distance along the tracks from the front face to the middle of each layer, (n, layers), mm."""
    inclination = batch["track_inclination"].unsqueeze(1)
    return _layer_depths(geometry, inclination) / torch.cos(inclination).abs()


def track_window(values: torch.Tensor, batch: Batch, geometry: Calorimeter, half_width: int) -> torch.Tensor:
    """Cells about the track in each layer: the one that holds it in the middle, 0 for cells that do not exist.

    Parameters
    ----------
    values : tensor, shape (n, layers, cells)
        Something of each cell.
    batch : mapping of str to tensor
        With the columns of the track.
    geometry : Calorimeter
        The calorimeter.
    half_width : int
        Number of cells on either side.

    Returns
    -------
    tensor, shape (n, layers, 2 half_width + 1)
        NaN in all layers for an event without a track.
    """
    coordinate = track_coordinates(batch, geometry)
    middle = torch.floor((coordinate + geometry.width / 2) / geometry.cell_pitch)
    # A track far outside has no cell in its window, however far it is: kept in the range of integers.
    middle = middle.clamp(-half_width - 1, geometry.n_cells + half_width)
    cells = middle.unsqueeze(-1) + torch.arange(-half_width, half_width + 1, device=values.device)
    inside = (cells >= 0) & (cells < geometry.n_cells)
    taken = values.gather(-1, cells.nan_to_num().clamp(0, geometry.n_cells - 1).long())
    return torch.where(inside, taken, 0.0 * coordinate.unsqueeze(-1))  # 0, or NaN where there is no track
