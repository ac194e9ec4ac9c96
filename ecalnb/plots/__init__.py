"""Figures of spectra, scores, training, rejection, flight data, and the validation of simulations.

One function a figure: it draws into an ``ax``, labels its axes with units and returns what it has drawn. Draw after
``plt.style.use(plots.style())`` and write with :func:`save`. Pictures of showers are in :mod:`ecalnb.display`.
"""

from .._style import COLORS, ENERGY_CMAP, color_of, save, source_label, source_text, style
from .adaptation import domain_features, domain_scores, method_rows, variable_ratio
from .axis import (
    axis_style,
    bias_points,
    ratio_points,
    residual_histogram,
    resolution_curve,
    resolution_points,
    resolution_with_ratio,
)
from .calibration import reliability
from .classifiers import loss_curves, rejection_curve, rejection_in_bins, score_distribution
from .comparison import factor_rows, model_style, rejection_rows
from .data_efficiency import rejection_against_events
from .energy import correlation_rows, efficiency_in_bins, score_profile
from .flight import template_fit
from .judges import auc_against, auc_dependence, auc_overview, judge_scores
from .learning_rates import learning_rates
from .spectra import counts_map, energy_momentum, log_edges, spectrum
from .validation import (
    correlation_comparison,
    profile_comparison,
    quantity_differences,
    survivor_fractions,
    survivors_by_cut,
)

__all__ = [
    "COLORS",
    "ENERGY_CMAP",
    "auc_against",
    "auc_dependence",
    "auc_overview",
    "axis_style",
    "bias_points",
    "color_of",
    "correlation_comparison",
    "correlation_rows",
    "counts_map",
    "domain_features",
    "domain_scores",
    "efficiency_in_bins",
    "energy_momentum",
    "factor_rows",
    "judge_scores",
    "learning_rates",
    "log_edges",
    "loss_curves",
    "method_rows",
    "model_style",
    "profile_comparison",
    "quantity_differences",
    "ratio_points",
    "rejection_against_events",
    "rejection_curve",
    "rejection_in_bins",
    "rejection_rows",
    "reliability",
    "residual_histogram",
    "resolution_curve",
    "resolution_points",
    "resolution_with_ratio",
    "save",
    "score_distribution",
    "score_profile",
    "source_label",
    "source_text",
    "spectrum",
    "style",
    "survivor_fractions",
    "survivors_by_cut",
    "template_fit",
    "variable_ratio",
]
