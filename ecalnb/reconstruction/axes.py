"""What a method of reconstruction gives: a straight axis an event, its uncertainty, and whether to believe it."""

from __future__ import annotations

from dataclasses import dataclass, fields
from enum import IntEnum

import numpy as np
import numpy.typing as npt
import pandas as pd

from ..geometry import Tracks

__all__ = ["Quality", "ShowerAxes"]

FloatArray = npt.NDArray[np.float64]

LARGEST_INCLINATION = np.radians(75.0)
"""Axes that are further from the vertical are none that a shower of the calorimeter can have, rad."""


class Quality(IntEnum):
    """Why an axis should not be believed; only `GOOD` ones should enter a resolution."""

    GOOD = 0
    NO_ENERGY = 1
    """No energy in any cell: all numbers are NaN."""
    BAD_CELLS = 2
    """A cell is NaN or infinite: all numbers are NaN."""
    FEW_LAYERS = 3
    """Fewer than two layers of a view measure a position: all numbers are NaN."""
    NOT_CONVERGED = 4
    """The fit did not come to rest; the numbers are those of its last step."""
    AT_LIMIT = 5
    """The axis leaves what is possible (75 degrees, or the front face by its width), or the maximum its range."""


@dataclass(frozen=True, eq=False)
class ShowerAxes:
    """Straight shower axes, given at the front face like :class:`ecalnb.geometry.Tracks`; arrays of shape (n,).

    Parameters
    ----------
    x0, y0 : array_like
        Position at depth 0, mm.
    slope_x, slope_y : array_like
        dx/d(depth) and dy/d(depth).
    x0_error, y0_error, slope_x_error, slope_y_error : array_like
        Standard errors; NaN where a method gives none.
    correlation_x, correlation_y : array_like, optional
        Correlation of position and slope in each view; NaN unless told. The two views are independent.
    shower_max : array_like, optional
        Depth of the shower maximum along the axis, radiation lengths; NaN unless told.
    deviance, ndf : array_like, optional
        Squared residuals over their variances, and their number less that of the parameters; NaN unless told. The
        variances are a model: the ratio orders showers, and is not distributed as a chi2.
    quality : array_like of int, optional
        A `Quality`; good where all of the axis is finite, and `Quality.NOT_CONVERGED` elsewhere, unless told.

    Raises
    ------
    ValueError
        If the arrays do not have one length.
    """

    x0: FloatArray
    y0: FloatArray
    slope_x: FloatArray
    slope_y: FloatArray
    x0_error: FloatArray
    y0_error: FloatArray
    slope_x_error: FloatArray
    slope_y_error: FloatArray
    correlation_x: FloatArray | float = np.nan
    correlation_y: FloatArray | float = np.nan
    shower_max: FloatArray | float = np.nan
    deviance: FloatArray | float = np.nan
    ndf: FloatArray | float = np.nan
    quality: npt.NDArray[np.int8] | None = None

    def __post_init__(self) -> None:
        n = len(np.atleast_1d(np.asarray(self.x0)))
        for field in fields(self):
            if field.name == "quality":
                continue
            value = np.asarray(getattr(self, field.name), dtype=float)
            if value.ndim and value.shape != (n,):
                raise ValueError(f"{field.name} has shape {value.shape}; expected ({n},), as x0")
            object.__setattr__(self, field.name, np.broadcast_to(value, (n,)))
        if self.quality is None:
            known = np.isfinite(self.x0 + self.y0 + self.slope_x + self.slope_y)
            object.__setattr__(self, "quality", np.where(known, Quality.GOOD, Quality.NOT_CONVERGED).astype(np.int8))
        else:
            quality = np.asarray(self.quality).astype(np.int8)
            if quality.shape != (n,):
                raise ValueError(f"quality has shape {quality.shape}; expected ({n},), as x0")
            object.__setattr__(self, "quality", quality)

    def __len__(self) -> int:
        return len(self.x0)

    def __getitem__(self, events: slice | npt.NDArray[np.integer] | npt.NDArray[np.bool_]) -> ShowerAxes:
        return ShowerAxes(*(getattr(self, field.name)[events] for field in fields(self)))

    @property
    def good(self) -> npt.NDArray[np.bool_]:
        """Events whose axis can be believed."""
        return np.asarray(self.quality) == Quality.GOOD

    @property
    def inclination(self) -> FloatArray:
        """Angle from the vertical, rad."""
        return np.arctan(np.hypot(self.slope_x, self.slope_y))

    @property
    def inclination_error(self) -> FloatArray:
        """Standard error of the inclination, rad, to first order; meaningful where it is below the inclination."""
        square = self.slope_x**2 + self.slope_y**2
        with np.errstate(invalid="ignore", divide="ignore"):
            part = np.where(square > 0, self.slope_x**2 / square, 0.5)
        return np.sqrt(part * self.slope_x_error**2 + (1 - part) * self.slope_y_error**2) / (1 + square)

    @property
    def theta(self) -> FloatArray:
        """AMS's polar angle of the direction of travel, rad: pi minus the inclination."""
        return np.pi - self.inclination

    @property
    def azimuth(self) -> FloatArray:
        """Azimuth of the direction of travel (AMS's phi), rad, -pi to pi."""
        return np.arctan2(self.slope_y, self.slope_x)

    @property
    def tracks(self) -> Tracks:
        """The axes as tracks; NaN for events without one."""
        return Tracks(self.x0, self.y0, self.inclination, self.azimuth)

    def to_table(self, prefix: str = "axis") -> pd.DataFrame:
        """Columns ``{prefix}_x``, ``_y``, ``_inclination``, ``_azimuth`` (as `Tracks.from_table` reads) and all else.

        Parameters
        ----------
        prefix : str
            What the names begin with.
        """
        columns = {"x": self.x0, "y": self.y0, "inclination": self.inclination, "azimuth": self.azimuth}
        rest = [field.name for field in fields(self) if field.name not in ("x0", "y0", "x0_error", "y0_error")]
        columns |= {"x_error": self.x0_error, "y_error": self.y0_error} | {name: getattr(self, name) for name in rest}
        return pd.DataFrame({f"{prefix}_{name}": values for name, values in columns.items()})

    @classmethod
    def from_table(cls, table: pd.DataFrame, prefix: str = "axis") -> ShowerAxes:
        """Axes of a table that `to_table` wrote.

        Raises
        ------
        KeyError
            If the table lacks a column.
        """
        names = {field.name: f"{prefix}_{field.name}".replace("0", "") for field in fields(cls)}
        if missing := [column for column in names.values() if column not in table.columns]:
            raise KeyError(f"the table has no column {', '.join(missing)}; axes need {', '.join(names.values())}")
        return cls(**{name: table[column].to_numpy() for name, column in names.items()})
