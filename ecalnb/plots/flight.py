"""Figures of the selection of flight data."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .._style import COLORS, color_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from ..metrics import TemplateFit

__all__ = ["template_fit"]


def template_fit(ax: Axes, fit: TemplateFit, names: tuple[str, str] = ("electron", "proton")) -> None:
    """Draw data as points over the stacked templates of a fit, with the goodness of the fit.

    Parameters
    ----------
    ax : Axes
        Where to draw; label its x axis with the variable.
    fit : TemplateFit
        The fit.
    names : tuple of str
        What signal and background are.
    """
    middle, width, n = (fit.edges[1:] + fit.edges[:-1]) / 2, np.diff(fit.edges), fit.counts.sum()
    below = np.zeros(len(fit.counts))
    shares = 1 - fit.background_fraction, fit.background_fraction
    for number, (name, template, share) in enumerate(zip(names, (fit.signal, fit.background), shares, strict=True)):
        expected = n * share * template / template.sum()
        ax.bar(
            middle,
            expected,
            width,
            below,
            color=color_of(name, COLORS[number]),
            alpha=0.5,
            label=f"{name}: {n * share:.1f}",
        )
        below += expected
    some = fit.counts > 0
    ax.errorbar(middle[some], fit.counts[some], np.sqrt(fit.counts[some]), fmt="o", color=COLORS[6], ms=4, label="data")
    ax.set_xlim(fit.edges[0], fit.edges[-1])
    ax.set_ylim(0, 1.3 * max(below.max(), fit.counts.max()))
    ax.set_ylabel("events")
    ax.legend(title=f"p = {fit.p_value:.2g}")
