"""What is added to the training loss so that the model sees both domains alike.

Each is called with the :class:`~ecalnb.training.Outputs` of a batch that holds events of both domains, the batch, whose
``domain`` is 0 for source and 1 for target events, and how far the training is. Its own weights, if it has any, are
trained and kept in the checkpoints with those of the model; they are no part of the weights that a run leaves. A new
one is a class derived from :class:`DomainPenalty` with a ``name``, added to ``PENALTIES``.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import nn
from torch.nn import functional

from ..scales import Batch
from ..task import Outputs
from .distances import class_confusion, coral_distance, maximum_mean_discrepancy, reverse_gradient

__all__ = ["PENALTIES", "ClassConfusion", "Coral", "DomainAdversary", "DomainPenalty", "Domains", "MeanDiscrepancy"]
__all__ += ["ramp"]


def ramp(progress: float) -> float:
    """Rise from 0 to 1 with the progress of the training, 2 / (1 + exp(-10 p)) - 1 (Ganin and Lempitsky, eq. 14)."""
    return 2 / (1 + math.exp(-10 * progress)) - 1


@dataclass(frozen=True)
class Domains:
    """A batch by domain.

    Parameters
    ----------
    source, target : tensor, shape (n, d) and (m, d)
        Features of the events of either domain.
    logits : tensor, shape (m,)
        Of the target events.
    weights : tensor, shape (n,)
        Of the source events.
    """

    source: torch.Tensor
    target: torch.Tensor
    logits: torch.Tensor
    weights: torch.Tensor


class DomainPenalty(nn.Module, ABC):
    """What the penalties have in common: the ramp, and the weights of source events.

    Parameters
    ----------
    weight : float
        Factor at the end of the ramp.
    ramp_epochs : int
        Epochs in which the ramp's progress goes from 0 to 1.
    source_share : float
        Share of signal among the training events.
    reweight : bool
        Weight source events so that they mix the classes as the target does, by `target_share`.
    """

    name: ClassVar[str]
    target_share: torch.Tensor

    def __init__(self, weight: float, ramp_epochs: int, source_share: float, reweight: bool) -> None:
        super().__init__()
        self.weight, self.ramp_epochs = weight, ramp_epochs
        self.source_share, self.reweight = source_share, reweight
        self.register_buffer("target_share", torch.tensor(source_share))

    def forward(self, outputs: Outputs, batch: Batch, epochs: float) -> torch.Tensor:
        """Penalty of a batch after so many epochs, a scalar."""
        source = batch["domain"] < 0.5
        features, logits = outputs.features.flatten(1).float(), outputs.logits.float()
        weights = self.source_weights({name: values[source] for name, values in batch.items() if name != "cells"})
        strength = self.weight * ramp(min(epochs / self.ramp_epochs, 1))
        return self.compare(Domains(features[source], features[~source], logits[~source], weights), strength)

    def source_weights(self, batch: Batch) -> torch.Tensor:
        """Weights of source events, (n,): those of planing, times what makes the classes mix as in the target."""
        target = batch["target"]
        weights = batch.get("event_weight", torch.ones_like(target))
        if not self.reweight:
            return weights
        signal = self.target_share / self.source_share
        background = (1 - self.target_share) / (1 - self.source_share)
        return weights * (target * signal + (1 - target) * background)

    @abstractmethod
    def compare(self, domains: Domains, strength: float) -> torch.Tensor:
        """Penalty of a batch at some strength, a scalar."""


class Coral(DomainPenalty):
    """Distance of the covariances of the features (:func:`coral_distance`)."""

    name = "coral"

    def compare(self, domains: Domains, strength: float) -> torch.Tensor:
        """Distance times strength."""
        return strength * coral_distance(domains.source, domains.target, domains.weights)


class MeanDiscrepancy(DomainPenalty):
    """Maximum mean discrepancy of the features (:func:`maximum_mean_discrepancy`)."""

    name = "mmd"

    def compare(self, domains: Domains, strength: float) -> torch.Tensor:
        """Discrepancy times strength."""
        return strength * maximum_mean_discrepancy(domains.source, domains.target, domains.weights)


class ClassConfusion(DomainPenalty):
    """Confusion of the classes in the predictions for the target (:func:`class_confusion`); features take no part.

    Parameters
    ----------
    temperature : float
        What logits are divided by.
    **common
        As for :class:`DomainPenalty`.
    """

    name = "mcc"

    def __init__(self, *, temperature: float, **common: Any) -> None:
        super().__init__(**common)
        self.temperature = temperature

    def compare(self, domains: Domains, strength: float) -> torch.Tensor:
        """Confusion times strength."""
        return strength * class_confusion(domains.logits, self.temperature)


class DomainAdversary(DomainPenalty):
    """Domain-adversarial training (Y. Ganin and V. Lempitsky, ICML 2015, arXiv:1409.7495).

    A classifier with one hidden layer learns to tell the domains by the features; its gradient reaches the model
    reversed, so that the features come to say nothing of the domain. The penalty is its cross-entropy, ln 2 when it
    cannot tell. The classifier learns with full strength from the beginning; the strength is that of the reversal.

    Parameters
    ----------
    n_features : int
        Of the model.
    hidden : int
        Width of the hidden layer.
    **common
        As for :class:`DomainPenalty`.
    """

    name = "dann"

    def __init__(self, *, n_features: int, hidden: int, **common: Any) -> None:
        super().__init__(**common)
        self.classifier = nn.Sequential(nn.Linear(n_features, hidden), nn.ReLU(), nn.Linear(hidden, 1))

    def compare(self, domains: Domains, strength: float) -> torch.Tensor:
        """Mean of the cross-entropies of both domains."""
        both = reverse_gradient(torch.cat([domains.source, domains.target]), strength)
        domain = self.classifier(both).squeeze(-1)
        of_source, of_target = domain[: len(domains.source)], domain[len(domains.source) :]
        weights = domains.weights
        source_loss = (weights * functional.softplus(of_source)).sum() / weights.sum().clamp_min(1e-12)
        return (source_loss + functional.softplus(-of_target).mean()) / 2


PENALTIES: dict[str, type[DomainPenalty]] = {
    penalty.name: penalty for penalty in (Coral, MeanDiscrepancy, DomainAdversary, ClassConfusion)
}
