"""Files of trained weights: a safetensors file (or xgboost's), and a JSON file beside it that says all about them.

The JSON file is written last, so that it marks weights that are whole.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save as to_bytes
from torch import nn

from .. import models
from .._atomic import replacing, write_json
from ..geometry import Calorimeter
from .errors import TrainingError
from .targets import ClassTarget

__all__ = ["FORMAT", "check_fits", "find_weights", "geometry_from", "geometry_to_dict", "name_of", "read_checked"]
__all__ += ["read_json", "save_weights", "target_of"]

FORMAT = 1
"""Version of the JSON file."""

_SUFFIXES = (".safetensors", ".ubj")


def geometry_from(description: Mapping[str, Any]) -> Calorimeter:
    """Make the calorimeter that a JSON file describes."""
    try:
        return Calorimeter(**{**description, "views": tuple(description["views"])})
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise TrainingError(f"the geometry {str(description)[:80]!r} describes no calorimeter: {error}") from None


def geometry_to_dict(geometry: Calorimeter) -> dict[str, Any]:
    """Return a calorimeter as plain values that JSON holds."""
    return {**asdict(geometry), "views": list(geometry.views)}


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


def target_of(info: Mapping[str, Any]) -> str:
    """Name of what weights were trained to say, from the JSON file beside them."""
    return info.get("recipe", {}).get("quantity", ClassTarget.name)


def name_of(file: Path) -> str:
    """Name of weights: of their run, or of their file where that is not called ``weights``."""
    return file.parent.resolve().name if file.stem == "weights" else file.stem


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
