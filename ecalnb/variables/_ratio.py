"""Quotients that may not exist."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["ratio"]


def ratio(numerator: npt.NDArray[np.float64], denominator: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Quotient of two arrays, NaN where the denominator is not positive."""
    return np.divide(numerator, denominator, out=np.full(len(numerator), np.nan), where=denominator > 0)
