"""Training and prediction: recipes, inputs, losses, the data module, and the one training task.

:func:`train` turns a store into a run directory with weights, :func:`predict` weights and events into a scores table,
:func:`predict_friends` into friend trees of ROOT files, and :func:`export_onnx` weights into a file for other programs.
"""

from ._runtime import is_first_process
from .adaptation_study import DomainShift, train_adaptations, train_shift
from .axis_sample import AxisSample, axis_sample
from .batches import BatchLoader, EventSource
from .data import EcalDataModule
from .data_efficiency import measured_efficiency, nested_sizes, score_runs, train_on_subsets
from .errors import DivergenceError, TrainingError
from .export import export_onnx, to_onnx
from .fit import train
from .friends import predict_friends
from .inputs import (
    CellInputs,
    Inputs,
    MergedInputs,
    TrackWindowInputs,
    ViewInputs,
    default_inputs,
    inputs_from,
    list_inputs,
)
from .labels import label_columns, label_events
from .losses import Hinge, Loss, WeightedBCE, list_losses, make_loss
from .momentum import ENERGY_MOMENTUM, add_energy_momentum
from .penalties import DistanceCorrelation, list_penalties, make_penalty
from .planing import Planing, plane
from .predict import predict
from .predict_tracks import predict_axes, predict_tracks
from .recipes import Recipe, list_recipes, parse_settings, resolve_recipe
from .regression import GaussianNLL, ResolutionWeighted, list_regression_losses, make_regression_loss
from .rundir import TrainingRun
from .scales import NORMALISATIONS, SCALARS, Batch
from .scan import LearningRateScan, scan_learning_rate
from .scores import AMS_SCORES, add_ams_scores, join_scores, read_scores, write_scores
from .targets import AxisTarget, ClassTarget, PositionTarget, ThetaTarget, list_targets, make_target
from .task import EcalTask, Outputs, Penalty
from .track_predictor import TrackPredictor, is_for_tracks, load_track_predictor
from .weight_files import save_weights
from .weights import Classifier, EventClassifier, load_network, load_weights

__all__ = [
    "AMS_SCORES",
    "ENERGY_MOMENTUM",
    "NORMALISATIONS",
    "SCALARS",
    "AxisSample",
    "AxisTarget",
    "Batch",
    "BatchLoader",
    "CellInputs",
    "ClassTarget",
    "Classifier",
    "DistanceCorrelation",
    "DivergenceError",
    "DomainShift",
    "EcalDataModule",
    "EcalTask",
    "EventClassifier",
    "EventSource",
    "GaussianNLL",
    "Hinge",
    "Inputs",
    "LearningRateScan",
    "Loss",
    "MergedInputs",
    "Outputs",
    "Penalty",
    "Planing",
    "PositionTarget",
    "Recipe",
    "ResolutionWeighted",
    "ThetaTarget",
    "TrackPredictor",
    "TrackWindowInputs",
    "TrainingError",
    "TrainingRun",
    "ViewInputs",
    "WeightedBCE",
    "add_ams_scores",
    "add_energy_momentum",
    "axis_sample",
    "default_inputs",
    "export_onnx",
    "inputs_from",
    "is_first_process",
    "is_for_tracks",
    "join_scores",
    "label_columns",
    "label_events",
    "list_inputs",
    "list_losses",
    "list_penalties",
    "list_recipes",
    "list_regression_losses",
    "list_targets",
    "load_network",
    "load_track_predictor",
    "load_weights",
    "make_loss",
    "make_penalty",
    "make_regression_loss",
    "make_target",
    "measured_efficiency",
    "nested_sizes",
    "parse_settings",
    "plane",
    "predict",
    "predict_axes",
    "predict_friends",
    "predict_tracks",
    "read_scores",
    "resolve_recipe",
    "save_weights",
    "scan_learning_rate",
    "score_runs",
    "to_onnx",
    "train",
    "train_adaptations",
    "train_on_subsets",
    "train_shift",
    "write_scores",
]
