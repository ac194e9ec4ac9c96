"""Figures of spectra, scores, training and rejection.

One function a figure: it draws into an ``ax``, labels its axes with units and returns what it has drawn. Draw after
``plt.style.use(plots.style())`` and write with :func:`save`. Pictures of showers are in :mod:`ecalnb.display`.
"""

from .._style import COLORS, ENERGY_CMAP, color_of, save, source_label, source_text, style
from .classifiers import loss_curves, rejection_curve, rejection_in_bins, score_distribution
from .spectra import energy_momentum, log_edges, spectrum

__all__ = [
    "COLORS",
    "ENERGY_CMAP",
    "color_of",
    "energy_momentum",
    "log_edges",
    "loss_curves",
    "rejection_curve",
    "rejection_in_bins",
    "save",
    "score_distribution",
    "source_label",
    "source_text",
    "spectrum",
    "style",
]
