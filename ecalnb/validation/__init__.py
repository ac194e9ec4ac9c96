"""Validation of a simulation against another: judges, physics quantities, published targets.

The reference is Geant4, the candidate a fast simulation; or two versions of either. `simulate_twins` makes the best
candidate: events at the energies and tracks of the reference, one by one.
"""

from .comparison import compare_correlations, compare_profiles, compare_quantities, select_sample
from .conditions import Pair, ValidationError, centred, common_footing, match, simulate_twins
from .electromagnetic import classifier_survivors, simple_survivors
from .features import feature_names, shower_features
from .hadronic_models import crossed_rejections, hadronic_changes
from .judges import JUDGES, Judgement, bdt_auc, cnn_auc, judge_settings, learning_curve
from .naive import naive_like, naive_showers
from .quantities import QUANTITIES, Quantity
from .run import Validation, validate
from .summary import (
    ask_judges,
    correlation_differences,
    highest_bins,
    important_features,
    judged_in_bins,
    judgement_table,
    largest_pulls,
    learning_curves,
)
from .systematics import compare_rejections, core_shares, rejection_ratios
from .targets import load_targets, missed_targets, read_samples, target_table

__all__ = [
    "JUDGES",
    "QUANTITIES",
    "Judgement",
    "Pair",
    "Quantity",
    "Validation",
    "ValidationError",
    "ask_judges",
    "bdt_auc",
    "centred",
    "classifier_survivors",
    "cnn_auc",
    "common_footing",
    "compare_correlations",
    "compare_profiles",
    "compare_quantities",
    "compare_rejections",
    "core_shares",
    "correlation_differences",
    "crossed_rejections",
    "feature_names",
    "hadronic_changes",
    "highest_bins",
    "important_features",
    "judge_settings",
    "judged_in_bins",
    "judgement_table",
    "largest_pulls",
    "learning_curve",
    "learning_curves",
    "load_targets",
    "match",
    "missed_targets",
    "naive_like",
    "naive_showers",
    "read_samples",
    "rejection_ratios",
    "select_sample",
    "shower_features",
    "simple_survivors",
    "simulate_twins",
    "target_table",
    "validate",
]
