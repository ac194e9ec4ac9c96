"""Domain adaptation: a model that is trained on labelled source events and used on a target without labels."""

from .choice import CRITERIA, choose_run, score_choices
from .distances import class_confusion, coral_distance, maximum_mean_discrepancy, reverse_gradient
from .guard import PriorGuard
from .penalties import ClassConfusion, Coral, DomainAdversary, DomainPenalty, MeanDiscrepancy, ramp
from .priors import SignalShare, share_by_confusion, share_by_expectation
from .response import MatchedSource, ResponseMatching, fit_response
from .settings import METHODS, adaptation_settings, list_adaptations
from .setup import Adaptation, prepare_adaptation
from .target import TargetEvents
from .unlabelled import domain_probabilities, features_of, importance_weighted_loss, mean_entropy

__all__ = [
    "CRITERIA",
    "METHODS",
    "Adaptation",
    "ClassConfusion",
    "Coral",
    "DomainAdversary",
    "DomainPenalty",
    "MatchedSource",
    "MeanDiscrepancy",
    "PriorGuard",
    "ResponseMatching",
    "SignalShare",
    "TargetEvents",
    "adaptation_settings",
    "choose_run",
    "class_confusion",
    "coral_distance",
    "domain_probabilities",
    "features_of",
    "fit_response",
    "importance_weighted_loss",
    "list_adaptations",
    "maximum_mean_discrepancy",
    "mean_entropy",
    "prepare_adaptation",
    "ramp",
    "reverse_gradient",
    "score_choices",
    "share_by_confusion",
    "share_by_expectation",
]
