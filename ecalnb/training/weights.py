"""Trained weights as classifiers; the files themselves are those of :mod:`ecalnb.training.weight_files`."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import safetensors
import torch
from safetensors.torch import load_file
from torch import nn

from .. import models
from ..geometry import Calorimeter
from ..models.conventional import METHODS
from ..productions import parameters_fingerprint
from .data import EventSource
from .errors import TrainingError
from .inputs import Batch, Inputs, NeedsColumns, inputs_from
from .targets import ClassTarget
from .weight_files import check_fits, find_weights, geometry_from, name_of, target_of

__all__ = [
    "Classifier",
    "EventClassifier",
    "load_network",
    "load_weights",
    "read_network",
    "start_from",
    "warn_of_other_data",
]

log = logging.getLogger(__name__)


@runtime_checkable
class EventClassifier(Protocol):
    """What scores events: a network (:class:`Classifier`), or a method of another kind that is used like one.

    They are dataclasses, so that ``dataclasses.replace(classifier, name=...)`` gives one another name.
    """

    @property
    def name(self) -> str:
        """Name of the run, and of its column in a scores table."""

    @property
    def inputs(self) -> NeedsColumns:
        """What it needs of an event beside the cells."""

    @property
    def geometry(self) -> Calorimeter:
        """The calorimeter it was trained on."""

    @property
    def info(self) -> dict[str, Any]:
        """Content of the JSON file; ``info["title"]``, where there is one, is the name for figures and tables."""

    @property
    def path(self) -> Path:
        """The file of the weights."""

    def logits(self, batch: Batch) -> torch.Tensor:
        """Scores of a batch, (n,), float32 on the CPU, higher for signal: `cells` in GeV and the columns needed."""

    def to(self, device: str | torch.device) -> EventClassifier:
        """Move to a device where that means anything; returns itself."""


@dataclass(frozen=True)
class Classifier:
    """A trained network with its inputs, ready to score.

    Parameters
    ----------
    name : str
        Name of the run, and of its column in a scores table.
    model : torch.nn.Module
        In evaluation mode.
    inputs : Inputs
        Makes what the model gets.
    geometry : Calorimeter
        The calorimeter it was trained on.
    info : dict
        Content of the JSON file: recipe, data, seed, best validation metrics, ...
    path : Path
        The safetensors file.
    """

    name: str
    model: nn.Module = field(repr=False)
    inputs: Inputs
    geometry: Calorimeter = field(repr=False)
    info: dict[str, Any] = field(repr=False)
    path: Path

    @torch.inference_mode()
    def logits(self, batch: Batch) -> torch.Tensor:
        """Logits of a batch on the device of the model, (n,), float32 on the CPU."""
        device = next(self.model.parameters()).device
        image = self.inputs({name: values.to(device) for name, values in batch.items()})
        return self.model(image.contiguous(memory_format=torch.channels_last)).squeeze(-1).float().cpu()

    def to(self, device: str | torch.device) -> Classifier:
        """Move the model to a device; returns itself."""
        self.model.to(device)
        return self


def load_weights(path: str | Path, *, store: EventSource | None = None, name: str | None = None) -> EventClassifier:
    """Read trained weights.

    Parameters
    ----------
    path : str or Path
        A run directory; a file of weights (``.safetensors``, or ``.ubj`` of trees) with its JSON file beside it; or the
        name of packaged weights, such as ``ecal_resnet10.geant4`` (:func:`ecalnb.models.list_weights`).
    store : EventSource, optional
        Warn if the weights were trained on other data than this store's.
    name : str, optional
        Name of the classifier; the run directory's unless told, or the file's where that is not called ``weights``.

    Raises
    ------
    TrainingError
        If there are no weights, the training has not ended, or the file does not fit the model that it names.
    """
    file, info = find_weights(path)
    if (target := target_of(info)) != ClassTarget.name:
        raise TrainingError(
            f"{file} predicts the {target} of a shower, not its class; use ecalnb.training.predict_tracks"
        )
    geometry, stem = geometry_from(info["geometry"]), name or name_of(file)
    warn_of_other_data(file, info, store)
    if info["model"] in METHODS:
        from .conventional import load_method

        return load_method(file, info, geometry, stem)
    inputs = inputs_from(info["inputs"], geometry)
    return Classifier(stem, read_network(file, info, inputs), inputs, geometry, info, file)


def read_network(file: Path, info: Mapping[str, Any], inputs: Inputs) -> nn.Module:
    """Make the network that a JSON file describes, with its weights, in evaluation mode.

    Raises
    ------
    TrainingError
        If the file does not fit the model that it names.
    """
    model = models.create(
        info["model"], input_size=inputs.shape, num_classes=info.get("outputs", 1), **info["model_options"]
    )
    try:
        tensors = load_file(file)
    except (safetensors.SafetensorError, OSError) as error:
        raise TrainingError(f"{file} is not a readable safetensors file: {error}") from None
    check_fits(file, info["model"], model, tensors)
    model.load_state_dict({key: tensor.to(model.state_dict()[key].dtype) for key, tensor in tensors.items()})
    return model.eval().to(memory_format=torch.channels_last)


def load_network(path: str | Path, *, store: EventSource | None = None, name: str | None = None) -> Classifier:
    """Read the trained weights of a network, like `load_weights`, for whoever needs its module.

    Raises
    ------
    TrainingError
        As `load_weights`, and if it is a method of another kind.
    """
    classifier = load_weights(path, store=store, name=name)
    if not isinstance(classifier, Classifier):
        raise TrainingError(f"{path} holds a {classifier.info['title']}; expected a network")
    return classifier


def start_from(path: str | Path, network: nn.Module) -> dict[str, str]:
    """Give a network the trained weights of another of the same architecture; returns what they are, for the record.

    Raises
    ------
    TrainingError
        If there are no weights, or they do not fit.
    """
    file, info = find_weights(path)
    try:
        tensors = load_file(file)
    except (safetensors.SafetensorError, OSError) as error:
        raise TrainingError(f"{file} is not a readable safetensors file: {error}") from None
    check_fits(file, "the model of this training", network, tensors)
    network.load_state_dict({key: tensor.to(network.state_dict()[key].dtype) for key, tensor in tensors.items()})
    return {
        "model": info["model"],
        "store": info.get("data", {}).get("store", ""),
        "sha256": hashlib.sha256(file.read_bytes()).hexdigest(),
    }


def warn_of_other_data(file: Path, info: Mapping[str, Any], store: EventSource | None) -> None:
    """Warn if weights were trained on other data than a store's, or on another simulation than this version's."""
    if store is not None and (trained := info.get("data", {}).get("store")) != store.fingerprint():
        log.warning("%s was trained on other data (%s) than this store (%s)", file, trained, store.fingerprint())
    simulated = info.get("dataset", {}).get("simulation", {}).get("fingerprint")
    if simulated is not None and simulated != (now := parameters_fingerprint()):
        log.warning(
            "%s was trained on events of another simulation (%s) than this version's (%s)", file, simulated, now
        )
