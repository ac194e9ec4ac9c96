"""Residuals of shower axes against the true axis or a track, as one table."""

from __future__ import annotations

import numpy as np
import pandas as pd

from ..geometry import Tracks
from ..metrics import space_angles
from .axes import ShowerAxes

__all__ = ["RESIDUALS", "axis_residuals", "true_axes"]

RESIDUALS = {
    "space_angle": "angle between the two directions, rad",
    "inclination": "difference of the angles from the vertical, rad",
    "angle_x": "difference of the angles projected on the x-z plane, rad",
    "angle_y": "difference of the angles projected on the y-z plane, rad",
    "x": "difference at the depth asked for, mm",
    "y": "difference at the depth asked for, mm",
    "distance": "distance of the two points there, mm",
}
"""Columns of `axis_residuals`, and what they hold."""


def true_axes(table: pd.DataFrame) -> Tracks:
    """Return true axes: columns ``true_x`` ..., or the tracks of a simulation without a tracker, which are true."""
    return Tracks.from_table(table, "true" if "true_x" in table else "track")


def axis_residuals(axes: ShowerAxes | Tracks, truth: Tracks, *, depth: float = 0.0) -> pd.DataFrame:
    """Residuals, reconstructed minus true.

    Parameters
    ----------
    axes : ShowerAxes or Tracks
        What was reconstructed; axes that are not good count as missing.
    truth : Tracks
        What it should be.
    depth : float
        Where positions are compared, mm; the front face unless told.

    Returns
    -------
    DataFrame
        The columns of `RESIDUALS`; NaN for missing events.

    Raises
    ------
    ValueError
        If there are not as many axes as tracks.
    """
    if len(axes) != len(truth):
        raise ValueError(f"{len(axes)} axes do not go with {len(truth)} tracks")
    found = axes.tracks if isinstance(axes, ShowerAxes) else axes
    (x, y), (true_x, true_y) = ((part[:, 0] for part in tracks.at(depth)) for tracks in (found, truth))
    columns = {
        "space_angle": space_angles(found.slope_x, found.slope_y, truth.slope_x, truth.slope_y),
        "inclination": found.inclination - truth.inclination,
        "angle_x": np.arctan(found.slope_x) - np.arctan(truth.slope_x),
        "angle_y": np.arctan(found.slope_y) - np.arctan(truth.slope_y),
        "x": x - true_x,
        "y": y - true_y,
        "distance": np.hypot(x - true_x, y - true_y),
    }
    table = pd.DataFrame(columns)
    if isinstance(axes, ShowerAxes):
        table.loc[~axes.good] = np.nan
    return table
