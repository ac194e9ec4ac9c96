"""Losses by name.

A loss is called with the logits (n,) and the batch and returns the mean over the events. A new one is a class derived
from :class:`ClassWeights` with a name, added to ``_LOSSES``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Protocol

import torch
from torch.nn import functional

from .._toml import near
from .errors import TrainingError
from .inputs import Batch

__all__ = ["Hinge", "Loss", "WeightedBCE", "list_losses", "make_loss"]


class Loss(Protocol):
    """What a loss has to have."""

    def to_dict(self) -> dict[str, Any]:
        """Name and numbers, for the record."""

    def __call__(self, logits: torch.Tensor, batch: Batch) -> torch.Tensor:
        """Mean loss of the events, a scalar."""


@dataclass(frozen=True)
class ClassWeights(ABC):
    """Weights with which both classes count the same, whatever their numbers of events.

    Parameters
    ----------
    signal_weight, background_weight : float
        Weight of an event of each class; their mean over the training sample is 1.
    """

    signal_weight: float
    background_weight: float

    name: ClassVar[str]

    @abstractmethod
    def __call__(self, logits: torch.Tensor, batch: Batch) -> torch.Tensor:
        """Mean loss of the events, a scalar."""

    def to_dict(self) -> dict[str, Any]:
        """Name and weights."""
        return {"name": self.name, **asdict(self)}

    def weights(self, batch: Batch) -> torch.Tensor:
        """Weight of each event, (n,): that of its class, times its own where it has one, as with planing."""
        target = batch["target"]
        weights = target * self.signal_weight + (1 - target) * self.background_weight
        return weights * batch["event_weight"] if "event_weight" in batch else weights


class WeightedBCE(ClassWeights):
    """Binary cross-entropy of logits; that of a model that knows nothing is ln 2."""

    name = "weighted_bce"

    def __call__(self, logits: torch.Tensor, batch: Batch) -> torch.Tensor:
        """Mean weighted cross-entropy."""
        target = batch["target"]
        return functional.binary_cross_entropy_with_logits(logits, target, weight=self.weights(batch))


class Hinge(ClassWeights):
    """Hinge loss of support-vector machines, max(0, 1 - y f) with y = 1 for signal and -1 for background.

    With a weight decay of the optimiser, which bounds the weights, a linear model becomes one (C. Cortes and V. Vapnik,
    Machine Learning 20 (1995) 273). That of a model that knows nothing is 1.
    """

    name = "hinge"

    def __call__(self, logits: torch.Tensor, batch: Batch) -> torch.Tensor:
        """Mean weighted hinge loss."""
        target = batch["target"]
        return (self.weights(batch) * functional.relu(1 - (2 * target - 1) * logits)).mean()


_LOSSES: dict[str, Callable[[float, float], Loss]] = {loss.name: loss for loss in (WeightedBCE, Hinge)}


def list_losses() -> list[str]:
    """Names of the losses."""
    return list(_LOSSES)


def make_loss(name: str, n_signal: int, n_background: int) -> Loss:
    """Make a loss for a training sample.

    Parameters
    ----------
    name : str
        One of :func:`list_losses`.
    n_signal, n_background : int
        Numbers of training events, which the class weights come from.

    Raises
    ------
    TrainingError
        If there is no such loss, or a class has no event.
    """
    if name not in _LOSSES:
        raise TrainingError(f"loss is {name!r}; expected one of {', '.join(_LOSSES)}{near(name, _LOSSES)}")
    if min(n_signal, n_background) < 1:
        raise TrainingError(
            f"a loss needs events of both classes; there are {n_signal} signal and {n_background} background"
        )
    total = n_signal + n_background
    return _LOSSES[name](total / (2 * n_signal), total / (2 * n_background))
