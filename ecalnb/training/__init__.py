"""Training and prediction: recipes, inputs, losses, the data module, and the one training task.

:func:`train` turns a store into a run directory with weights, :func:`predict` weights and events into a scores table.
"""

from .data import BatchLoader, EcalDataModule, EventSource
from .errors import TrainingError
from .fit import TrainingRun, train
from .inputs import NORMALISATIONS, Batch, ImageInputs, Inputs, inputs_from, list_inputs
from .losses import Loss, WeightedBCE, list_losses, make_loss
from .predict import predict
from .recipes import Recipe, list_recipes, parse_settings, resolve_recipe
from .scores import join_scores, read_scores, write_scores
from .task import EcalTask, Outputs, Penalty
from .weights import Classifier, load_weights, save_weights

__all__ = [
    "NORMALISATIONS",
    "Batch",
    "BatchLoader",
    "Classifier",
    "EcalDataModule",
    "EcalTask",
    "EventSource",
    "ImageInputs",
    "Inputs",
    "Loss",
    "Outputs",
    "Penalty",
    "Recipe",
    "TrainingError",
    "TrainingRun",
    "WeightedBCE",
    "inputs_from",
    "join_scores",
    "list_inputs",
    "list_losses",
    "list_recipes",
    "load_weights",
    "make_loss",
    "parse_settings",
    "predict",
    "read_scores",
    "resolve_recipe",
    "save_weights",
    "train",
    "write_scores",
]
