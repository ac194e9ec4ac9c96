"""Losses by name.

A loss is called with the logits (n,) and the batch and returns the mean over the events. A new one is a function that
makes it from the numbers of training events, added to ``_LOSSES``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, Protocol

import torch
from torch.nn import functional

from .._toml import near
from .errors import TrainingError
from .inputs import Batch

__all__ = ["Loss", "WeightedBCE", "list_losses", "make_loss"]


class Loss(Protocol):
    """What a loss has to have."""

    def to_dict(self) -> dict[str, Any]:
        """Name and numbers, for the record."""

    def __call__(self, logits: torch.Tensor, batch: Batch) -> torch.Tensor:
        """Mean loss of the events, a scalar."""


@dataclass(frozen=True)
class WeightedBCE:
    """Binary cross-entropy of logits in which both classes count the same, whatever their numbers of events.

    Parameters
    ----------
    signal_weight, background_weight : float
        Weight of an event of each class. Over the training sample the weights have mean 1, so that the loss of a model
        that knows nothing is ln 2.
    """

    signal_weight: float
    background_weight: float

    def to_dict(self) -> dict[str, Any]:
        """Name and weights."""
        return {"name": "weighted_bce", **asdict(self)}

    def __call__(self, logits: torch.Tensor, batch: Batch) -> torch.Tensor:
        """Mean weighted cross-entropy."""
        target = batch["target"]
        weight = target * self.signal_weight + (1 - target) * self.background_weight
        return functional.binary_cross_entropy_with_logits(logits, target, weight=weight)


def _weighted_bce(n_signal: int, n_background: int) -> Loss:
    total = n_signal + n_background
    return WeightedBCE(total / (2 * n_signal), total / (2 * n_background))


_LOSSES: dict[str, Callable[[int, int], Loss]] = {"weighted_bce": _weighted_bce}


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
    return _LOSSES[name](n_signal, n_background)
