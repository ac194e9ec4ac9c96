"""What in an image makes a network's mind up: integrated gradients over the cells, for any network and inputs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from ..showers import Showers
from .errors import TrainingError
from .export import require
from .scales import Batch
from .weights import Classifier, EventClassifier

__all__ = ["Attribution", "batch_of", "integrated_gradients", "network_of"]

_UNIT = 1e-3  # GeV: the path of a cell is straight in its energy below that, in the logarithm of it above
_SHARED = 1e-6  # GeV in each cell where shares of the energy are what counts, and none at all has no shares


@dataclass(frozen=True)
class Attribution:
    """What each cell adds to a network's logit.

    Parameters
    ----------
    values : array, shape (n, layers, cells)
        Share of each cell in ``logits - baseline``: positive where its energy speaks for signal.
    logits, baseline : array, shape (n,)
        Logits of the events and of an empty calorimeter with the same track and other columns.
    """

    values: npt.NDArray[np.float64]
    logits: npt.NDArray[np.float64]
    baseline: npt.NDArray[np.float64]

    @property
    def error(self) -> npt.NDArray[np.float64]:
        """Sum of the values less the difference of the logits, (n,): zero but for the number of steps."""
        return self.values.sum(axis=(1, 2)) - (self.logits - self.baseline)


def integrated_gradients(classifier: EventClassifier, showers: Showers, *, steps: int = 128) -> Attribution:
    """Attribute the logits of events to their cells by integrated gradients.

    M. Sundararajan, A. Taly and Q. Yan (ICML 2017), equation 1, by captum: the gradient of the logit is integrated
    along a path from an empty calorimeter to the event. What is interpolated is z = ln(1 + E / MeV) of a cell, on which
    scale cells of all sizes come in step by step (on a path straight in the energy all would happen in its first
    thousandth), and which for inputs with the normalisation ``log`` is what the network sees. The gradient goes through
    the inputs, so that the values are those of cells whatever the network gets: views, the window about the track,
    shares of the energy, or the total energy as a channel. Each cell's part of a sum counts for that cell.

    Parameters
    ----------
    classifier : Classifier
        A network, as :func:`ecalnb.training.load_weights` gives it.
    showers : Showers
        The events, with the columns that the inputs need.
    steps : int
        Points of the integral (Gauss-Legendre).

    Returns
    -------
    Attribution
        The values of an event add up to the difference of the logits, but for the `error` of the integration. Where
        the inputs are shares of the energy, which an empty calorimeter has not, the path begins at 1 keV in each cell.

    Raises
    ------
    TrainingError
        If the classifier is no network, a column is missing, or there is no event.
    ModuleNotFoundError
        If the extra ``explain`` is not installed.
    """
    captum = require("captum.attr", "explain")
    network = network_of(classifier)
    batch = batch_of(network, showers)
    names = list(network.inputs.columns)
    device = next(network.model.parameters()).device

    def logits(scaled: torch.Tensor, *columns: torch.Tensor) -> torch.Tensor:
        cells = scaled.sign() * torch.expm1(scaled.abs()) * _UNIT
        image = network.inputs({"cells": cells, **dict(zip(names, columns, strict=True))})
        return network.model(image).squeeze(-1)

    cells = batch["cells"].to(device)
    scaled = cells.sign() * torch.log1p(cells.abs() / _UNIT)
    start = _SHARED if network.inputs.to_dict().get("normalisation") == "fraction" else 0.0
    baseline = torch.full_like(scaled, float(np.log1p(start / _UNIT)))
    columns = tuple(batch[name].to(device) for name in names)
    values = captum.IntegratedGradients(logits).attribute(
        scaled, baseline, additional_forward_args=columns or None, n_steps=steps, internal_batch_size=256
    )
    with torch.no_grad():
        ends = [logits(scale, *columns).double().cpu().numpy() for scale in (scaled, baseline)]
    return Attribution(values.detach().double().cpu().numpy(), *ends)


def network_of(classifier: EventClassifier) -> Classifier:
    """Return a classifier that is a network.

    Raises
    ------
    TrainingError
        If it is a method of another kind.
    """
    if not isinstance(classifier, Classifier):
        raise TrainingError(
            f"{classifier.path} ({classifier.info.get('model')}) is no neural network; only those can be looked inside"
        )
    return classifier


def batch_of(classifier: Classifier, showers: Showers) -> Batch:
    """Make a batch of showers for a network.

    Raises
    ------
    TrainingError
        If there is no event, they are of another calorimeter, or an event lacks what the inputs need.
    """
    if not len(showers):
        raise TrainingError("there is no event to look at; expected one or more")
    if showers.geometry.shape != classifier.geometry.shape:
        raise TrainingError(f"{classifier.path} is not for showers of {showers.geometry.name}")
    batch: dict[str, Any] = {"cells": torch.from_numpy(np.array(showers.images))}
    for name in classifier.inputs.columns:
        if name not in showers.table:
            raise TrainingError(f"the event table has no column {name}, which {classifier.name} needs")
        values = showers.table[name].to_numpy(dtype=np.float32)
        if lacking := int((~np.isfinite(values)).sum()):
            raise TrainingError(f"{lacking} of {len(values)} events have no {name}, which {classifier.name} needs")
        batch[name] = torch.from_numpy(values.copy())
    return batch
