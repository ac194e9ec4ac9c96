"""Training and prediction: recipes, inputs, losses, the data module, and the one training task.

:func:`train` turns a store into a run directory with weights, :func:`predict` weights and events into a scores table.
"""

from .batches import BatchLoader, EventSource
from .data import EcalDataModule
from .errors import DivergenceError, TrainingError
from .fit import train
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
from .labels import label_events
from .losses import Hinge, Loss, WeightedBCE, list_losses, make_loss
from .predict import predict
from .recipes import Recipe, list_recipes, parse_settings, resolve_recipe
from .rundir import TrainingRun
from .scales import NORMALISATIONS, SCALARS, Batch
from .scores import join_scores, read_scores, write_scores
from .task import EcalTask, Outputs, Penalty
from .weights import Classifier, load_weights, save_weights

__all__ = [
    "NORMALISATIONS",
    "SCALARS",
    "Batch",
    "BatchLoader",
    "CellInputs",
    "Classifier",
    "DivergenceError",
    "EcalDataModule",
    "EcalTask",
    "EventSource",
    "Hinge",
    "Inputs",
    "Loss",
    "MergedInputs",
    "Outputs",
    "Penalty",
    "Recipe",
    "TrackWindowInputs",
    "TrainingError",
    "TrainingRun",
    "ViewInputs",
    "WeightedBCE",
    "default_inputs",
    "inputs_from",
    "join_scores",
    "label_events",
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
