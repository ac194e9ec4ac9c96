"""Figures of the selection of flight data."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .._style import COLORS, color_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from ..metrics import TemplateFit

__all__ = ["template_fit"]


def template_fit(ax: Axes, fit: TemplateFit) -> None:
    """Draw data as points over the stacked templates of a fit, with the goodness of the fit.

    Parameters
    ----------
    ax : Axes
        Where to draw; label its x axis with the variable.
    fit : TemplateFit
        The fit.
    """
    middle, width = (fit.edges[1:] + fit.edges[:-1]) / 2, np.diff(fit.edges)
    below = np.zeros(len(fit.counts))
    for name, shape, number, error in zip(fit.names, fit.shapes, fit.yields, fit.errors, strict=True):
        label = f"{name}: {number:.0f} ± {error:.0f}"
        ax.bar(middle, number * shape, width, below, color=color_of(name), alpha=0.5, label=label)
        below += number * shape
    some = fit.counts > 0
    ax.errorbar(middle[some], fit.counts[some], np.sqrt(fit.counts[some]), fmt="o", color=COLORS[6], ms=4, label="data")
    ax.set_xlim(fit.edges[0], fit.edges[-1])
    ax.set_ylim(0, None)
    ax.set_ylabel("events")
    ax.legend(title=f"p = {fit.p_value:.2g}")
