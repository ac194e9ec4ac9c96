"""Figure of a search for the learning rate."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from .._style import COLORS
from .spectra import plain_numbers

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes

__all__ = ["learning_rates"]


def learning_rates(ax: Axes, table: pd.DataFrame) -> list[Artist]:
    """Draw the lowest validation loss against the learning rate; the best has a marker, arrows point to diverged ones.

    Parameters
    ----------
    ax : Axes
        Where to draw.
    table : pandas.DataFrame
        One row a training with the columns ``learning_rate`` and ``val_loss``, infinite where it diverged: that of a
        :class:`ecalnb.training.LearningRateScan`.

    Returns
    -------
    list of Artist

    Raises
    ------
    KeyError
        If a column is missing.
    ValueError
        If no training has a finite loss.
    """
    names = ("learning_rate", "val_loss")
    if missing := [name for name in names if name not in table]:
        raise KeyError(f"the table has no column {', '.join(missing)}; it has {', '.join(table.columns)}")
    rate, loss = (table[name].to_numpy(dtype=float) for name in names)
    finite = np.isfinite(loss)
    if not finite.any():
        raise ValueError(f"none of the {len(table)} trainings has a finite validation loss; there is nothing to draw")
    artists: list[Artist] = [*ax.plot(rate[finite], loss[finite], "o-", color=COLORS[0])]
    best = int(np.argmin(np.where(finite, loss, np.inf)))
    artists += ax.plot(rate[best], loss[best], "*", ms=18, color=COLORS[1], label=f"best: {rate[best]:.3g}")
    if not finite.all():
        of_axes = ax.get_xaxis_transform()  # heights from 0 to 1
        top = np.full(int((~finite).sum()), 0.97)
        artists += ax.plot(rate[~finite], top, "^", color=COLORS[0], mfc="none", label="diverged", transform=of_axes)
    ax.set(xscale="log", yscale="log", xlabel="learning rate", ylabel="lowest validation loss")
    plain_numbers(ax.yaxis)
    ax.legend()
    return artists
