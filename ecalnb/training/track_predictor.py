"""Trained networks that predict numbers of the track."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from ..geometry import Calorimeter
from .data import EventSource
from .errors import TrainingError
from .inputs import Inputs, inputs_from
from .scales import Batch
from .targets import ClassTarget, TrackTarget, make_target
from .weight_files import find_weights, geometry_from, name_of, target_of
from .weights import read_network, warn_of_other_data

__all__ = ["TrackPredictor", "is_for_tracks", "load_track_predictor"]

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class TrackPredictor:
    """A trained network that predicts numbers of the track, with its inputs.

    Parameters
    ----------
    name : str
        Name of the run.
    model : torch.nn.Module
        In evaluation mode.
    inputs : Inputs
        Makes what the model gets.
    target : TrackTarget
        What it predicts.
    geometry : Calorimeter
        The calorimeter it was trained on.
    info : dict
        Content of the JSON file beside the weights.
    path : Path
        The safetensors file.
    """

    name: str
    model: nn.Module = field(repr=False)
    inputs: Inputs
    target: TrackTarget
    geometry: Calorimeter = field(repr=False)
    info: dict[str, Any] = field(repr=False)
    path: Path

    @property
    def error_scale(self) -> FloatArray:
        """What predicted errors are multiplied by: half-width of the 68 % of pulls of the validation events, (k,)."""
        return np.array([self.info["validation"][name] for name in self.target.pull_names])

    @torch.inference_mode()
    def predict(self, batch: Batch) -> tuple[FloatArray, FloatArray]:
        """Components of the target and their standard errors, (n, k) each, in mm, rad, or for slopes 1.

        Errors are calibrated on validation events; NaN of a network that predicts none.
        """
        device = next(self.model.parameters()).device
        image = self.inputs({name: values.to(device) for name, values in batch.items()})
        outputs = self.model(image.contiguous(memory_format=torch.channels_last)).double().cpu().numpy()
        k = len(self.target.components)
        found = outputs[:, :k] * self.target.units
        if not self.target.uncertain:
            return found, np.full_like(found, np.nan)
        return found, np.exp(outputs[:, k:] / 2) * self.target.units * self.error_scale


def is_for_tracks(path: str | Path) -> bool:
    """Whether weights, which need not be of this kind, predict numbers of the track.

    Raises
    ------
    TrainingError
        If there are no weights.
    """
    return target_of(find_weights(path)[1]) != ClassTarget.name


def load_track_predictor(
    path: str | Path, *, store: EventSource | None = None, name: str | None = None
) -> TrackPredictor:
    """Read the trained weights of a network that predicts numbers of the track.

    Parameters
    ----------
    path : path
        A run directory, a safetensors file with its JSON file beside it, or the name of packaged weights, such as
        ``ecal_axis_joint.fast``.
    store : EventSource, optional
        Warn if the weights were trained on other data than this store's.
    name : str, optional
        Another name than the run's.

    Raises
    ------
    TrainingError
        If there are no weights, they do not fit, or are those of a classifier.
    """
    file, info = find_weights(path)
    geometry = geometry_from(info["geometry"])
    inputs = inputs_from(info["inputs"], geometry)
    outputs = int(info.get("outputs", 1))
    target = make_target(target_of(info), geometry)
    if isinstance(target, ClassTarget):
        raise TrainingError(f"{file} holds a classifier; expected a network for theta, the position or the axis")
    target = make_target(target.name, geometry, uncertain=outputs > len(target.components))
    assert not isinstance(target, ClassTarget)
    warn_of_other_data(file, info, store)
    return TrackPredictor(name or name_of(file), read_network(file, info, inputs), inputs, target, geometry, info, file)
