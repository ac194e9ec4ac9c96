"""Trained weights: a safetensors file, and a JSON file beside it that says all there is to know about them.

The JSON file is written last, so that it marks weights that are whole.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import safetensors
import torch
from safetensors.torch import load_file
from safetensors.torch import save as to_bytes
from torch import nn

from .. import models
from .._atomic import replacing, write_json
from ..geometry import Calorimeter
from ..models.conventional import METHODS
from ..productions import parameters_fingerprint
from .data import EventSource
from .errors import TrainingError
from .inputs import Batch, Inputs, NeedsColumns, inputs_from
from .targets import ClassTarget

__all__ = ["Classifier", "EventClassifier", "check_fits", "geometry_from", "geometry_to_dict", "load_network"]
__all__ += ["find_weights", "load_weights", "name_of", "read_checked", "read_network", "save_weights"]
__all__ += ["start_from", "target_of", "warn_of_other_data"]

log = logging.getLogger(__name__)

FORMAT = 1
"""Version of the JSON file."""

_SUFFIXES = (".safetensors", ".ubj")


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


def geometry_from(description: Mapping[str, Any]) -> Calorimeter:
    """Make the calorimeter that a JSON file describes."""
    try:
        return Calorimeter(**{**description, "views": tuple(description["views"])})
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise TrainingError(f"the geometry {str(description)[:80]!r} describes no calorimeter: {error}") from None


def save_weights(path: Path, state: Mapping[str, torch.Tensor], info: Mapping[str, Any]) -> None:
    """Write ``path`` (``*.safetensors``) and the JSON file beside it.

    Parameters
    ----------
    path : Path
        The safetensors file.
    state : mapping of str to tensor
        The model's ``state_dict``.
    info : mapping
        At least ``model``, ``model_options``, ``inputs`` and ``geometry``.
    """
    side = path.with_suffix(".json")
    side.unlink(missing_ok=True)  # it must never describe weights that it was not written for
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in state.items()}
    content = to_bytes(tensors, metadata={"format": "pt"})  # its own writer lets nobody else read
    with replacing(path, TrainingError) as temporary:
        temporary.write_bytes(content)
    write_json(side, {"format": FORMAT, **info, "sha256": hashlib.sha256(content).hexdigest()}, TrainingError)


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


def find_weights(path: str | Path) -> tuple[Path, dict[str, Any]]:
    """File of trained weights of any kind, and the content of the JSON file beside it.

    Raises
    ------
    TrainingError
        If there are no weights, or the training has not ended.
    """
    packaged = str(path) in models.list_weights() and not Path(path).exists()
    file = models.weights_file(str(path)) if packaged else _weights_file(Path(path))
    info = read_json(file.with_suffix(".json"))
    if info.get("format") != FORMAT:
        raise TrainingError(
            f"{file.with_suffix('.json')} has format {info.get('format')!r}; this version reads {FORMAT}"
        )
    if lacking := [key for key in ("model", "model_options", "inputs", "geometry") if key not in info]:
        raise TrainingError(f"{file.with_suffix('.json')} lacks {', '.join(lacking)}; it does not describe weights")
    tables = [key for key in ("model_options", "inputs", "geometry", "recipe", "data") if key in info]
    if not isinstance(info["model"], str) or not all(isinstance(info[key], dict) for key in tables):
        raise TrainingError(f"{file.with_suffix('.json')} is damaged: expected a model's name and tables of settings")
    read_checked(file, info, f"{file.stem}.json")
    return file, info


def read_checked(file: Path, info: Mapping[str, Any], description: str) -> bytes:
    """Content of a file of weights, compared with the SHA-256 of the JSON file that describes it, if that has one.

    Weights have no checksum of their own, and damaged trees end xgboost, and with it the interpreter.

    Raises
    ------
    TrainingError
        If the file cannot be read, or is another than the one described.
    """
    try:
        content = file.read_bytes()
    except OSError as error:
        raise TrainingError(f"{file} cannot be read: {error.strerror}") from None
    if "sha256" in info and hashlib.sha256(content).hexdigest() != info["sha256"]:
        raise TrainingError(f"{file} is damaged, or not the file that {description} was written for")
    return content


def target_of(info: Mapping[str, Any]) -> str:
    """Name of what weights were trained to say, from the JSON file beside them."""
    return info.get("recipe", {}).get("quantity", ClassTarget.name)


def name_of(file: Path) -> str:
    """Name of weights: of their run, or of their file where that is not called ``weights``."""
    return file.parent.resolve().name if file.stem == "weights" else file.stem


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


def _weights_file(path: Path) -> Path:
    """Find the weights of a run directory, or the file itself."""
    if path.is_dir():
        files = [path / f"weights{suffix}" for suffix in _SUFFIXES]
        file = next((file for file in files if file.is_file()), files[0])
        if not (path / "config.json").is_file() and not file.is_file():
            raise TrainingError(f"{path} is not a run directory; expected config.json and weights.safetensors in it")
        if not (path / "weights.json").is_file():
            raise TrainingError(f"the training in {path} has not ended; start it again with the same settings to go on")
        return file
    if not path.exists():
        raise TrainingError(
            f"{path} does not exist; expected a run directory, a .safetensors file or packaged weights "
            f"({', '.join(models.list_weights()) or 'there are none'})"
        )
    if path.suffix not in _SUFFIXES:
        raise TrainingError(f"{path} is not a .safetensors file, nor a .ubj file of trees")
    if not path.with_suffix(".json").is_file():
        raise TrainingError(f"{path} has no {path.with_suffix('.json').name} beside it that says what it is")
    return path


def check_fits(file: Path, name: str, model: nn.Module, tensors: Mapping[str, torch.Tensor]) -> None:
    """Raise `TrainingError` unless tensors are those of a model: all of them, no others, each of the right shape."""
    expected = model.state_dict()
    for what, names in (("lacks", expected.keys() - tensors.keys()), ("has besides", tensors.keys() - expected.keys())):
        if names:
            shown = ", ".join(sorted(names)[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
            raise TrainingError(f"{file} does not fit {name}: it {what} {shown}")
    for key, tensor in tensors.items():
        if tensor.shape != expected[key].shape:
            raise TrainingError(
                f"{file} does not fit {name}: {key} has shape {tuple(tensor.shape)}; "
                f"the model needs {tuple(expected[key].shape)}"
            )


def geometry_to_dict(geometry: Calorimeter) -> dict[str, Any]:
    """Return a calorimeter as plain values that JSON holds."""
    return {**asdict(geometry), "views": list(geometry.views)}


def read_json(path: Path) -> dict[str, Any]:
    """Content of a JSON file of a run.

    Raises
    ------
    TrainingError
        If it is not a JSON object.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise TrainingError(f"{path} is not valid JSON: {error}") from None
    if not isinstance(content, dict):
        raise TrainingError(f"{path} holds a JSON {type(content).__name__}; expected an object")
    return content
