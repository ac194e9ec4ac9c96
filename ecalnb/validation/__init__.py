"""Validation of a simulation against another, or against data: judges, physics quantities, published targets."""

from .conditions import Pair, ValidationError, centred, common_footing, match
from .features import feature_names, shower_features
from .judges import JUDGES, Judgement, bdt_auc, cnn_auc, judge_settings, learning_curve

__all__ = [
    "JUDGES",
    "Judgement",
    "Pair",
    "ValidationError",
    "bdt_auc",
    "centred",
    "cnn_auc",
    "common_footing",
    "feature_names",
    "judge_settings",
    "learning_curve",
    "match",
    "shower_features",
]
