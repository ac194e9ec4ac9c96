"""The training task: one Lightning module for every model, input, loss and penalty."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import torch
from pytorch_lightning import LightningModule
from torch import nn

from .augment import Augmentation
from .errors import DivergenceError, TrainingError
from .inputs import Batch, Inputs
from .losses import Loss
from .regression import RegressionLoss
from .targets import ClassTarget, Target

__all__ = ["OPTIMISERS", "SCHEDULES", "EcalTask", "Outputs", "Penalty", "source_part"]

OPTIMISERS: dict[str, Callable[..., torch.optim.Optimizer]] = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}
"""Optimisers by name; they take parameters, ``lr`` and ``weight_decay``."""

SCHEDULES: dict[str, Callable[[float], float]] = {
    "constant": lambda _done: 1.0,
    "cosine": lambda done: (1 + math.cos(math.pi * done)) / 2,
}
"""Learning rate by the part of all steps that are done, 0 to 1, over its value at the beginning: ``cosine`` falls to 0
(I. Loshchilov and F. Hutter, SGDR, ICLR 2017, without restarts)."""


@dataclass(frozen=True)
class Outputs:
    """What the model says of a batch.

    Parameters
    ----------
    logits : tensor, shape (n,)
        Above 0: more like signal.
    features : tensor, shape (n, n_features)
        What the last layer is applied to.
    """

    logits: torch.Tensor
    features: torch.Tensor


class Penalty(Protocol):
    """An addition to the training loss, such as a distance between domains.

    One with weights of its own is a ``torch.nn.Module``; they are trained and saved with those of the model. One that
    needs columns of the event table beside those of the inputs names them in ``columns``.
    """

    def __call__(self, outputs: Outputs, batch: Batch) -> torch.Tensor:
        """Penalty of a batch, a scalar."""


def source_part(outputs: Outputs, batch: Batch) -> tuple[Outputs, Batch]:
    """Leave the events of the target domain out of outputs and batch."""
    source = batch["domain"] < 0.5
    return (
        Outputs(outputs.logits[source], outputs.features[source]),
        {name: values[source] for name, values in batch.items()},
    )


class EcalTask(LightningModule):
    """Train a network on showers: a classifier, or what predicts numbers of the track.

    Each training batch starts by seeding torch with a hash of seed, step and process, so that dropout and augmentation
    do not depend on what ran before: a resumed training draws the same numbers. Losses and metrics are those of the
    events of all processes that train together.

    Parameters
    ----------
    model : torch.nn.Module
        From (n, channels, layers, cells) to (n, 1) logits, or to the outputs that target and loss ask for. With a
        penalty it needs timm's ``forward_features``, ``forward_head`` and ``get_classifier``.
    inputs : Inputs
        Makes what the model gets from a batch.
    loss : Loss
        Of the logits, or of the outputs, and the batch.
    target : Target, optional
        What the network is to say of an event: its class unless told.
    optimiser : str
        One of :data:`OPTIMISERS`.
    learning_rate, weight_decay : float
        Of the optimiser.
    schedule : str
        One of :data:`SCHEDULES`: how the learning rate changes from step to step.
    penalty : Penalty, optional
        Added to the training loss.
    adaptation : torch.nn.Module, optional
        Added to the training loss too: from outputs and batch of both domains, and the number of epochs so far. The
        loss and `penalty` are those of the source events.
    augmentation : callable, optional
        Applied to training batches.
    seed : int
        Seed of dropout and augmentation.

    Raises
    ------
    TrainingError
        If there is no such optimiser or schedule.
    DivergenceError
        In training, when the loss is not a finite number.
    """

    def __init__(
        self,
        model: nn.Module,
        inputs: Inputs,
        loss: Loss,
        *,
        target: Target | None = None,
        optimiser: str = "adam",
        learning_rate: float = 1e-4,
        weight_decay: float = 0.0,
        schedule: str = "constant",
        penalty: Penalty | None = None,
        adaptation: nn.Module | None = None,
        augmentation: Augmentation | None = None,
        seed: int = 1,
    ) -> None:
        super().__init__()
        if optimiser not in OPTIMISERS:
            raise TrainingError(f"optimiser is {optimiser!r}; expected one of {', '.join(OPTIMISERS)}")
        if schedule not in SCHEDULES:
            raise TrainingError(f"schedule is {schedule!r}; expected one of {', '.join(SCHEDULES)}")
        # On a CPU small convolutions run several times faster with the channels as the innermost dimension.
        self.model = model.to(memory_format=torch.channels_last)
        self.inputs = inputs
        self.loss = loss
        self.target: Target = target or ClassTarget()
        self.penalty = penalty
        self.adaptation = adaptation
        self.augmentation = augmentation
        self.optimiser = optimiser
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.schedule = schedule
        self.seed = seed
        # Plain numbers, kept in the checkpoint: Lightning's own means forget the batches before a resume.
        self._loss_sum, self._loss_events = 0.0, 0
        self._logits: list[torch.Tensor] = []
        self._targets: list[torch.Tensor] = []
        self._energies: list[torch.Tensor] = []
        self._validation_loss = 0.0

    def image(self, batch: Batch) -> torch.Tensor:
        """Make what the model gets, (n, channels, layers, cells)."""
        return self.inputs(batch).contiguous(memory_format=torch.channels_last)

    def forward(self, batch: Batch) -> torch.Tensor:
        """Logits of a batch, (n,), or the outputs for another target, (n, k)."""
        return self.target.read(self.model(self.image(batch)))

    def outputs(self, batch: Batch) -> Outputs:
        """Logits and features of a batch."""
        features = self.model.forward_head(self.model.forward_features(self.image(batch)), pre_logits=True)  # type: ignore[operator]
        return Outputs(self.model.get_classifier()(features).squeeze(-1), features)  # type: ignore[operator]

    def on_train_batch_start(self, batch: Batch, batch_idx: int) -> None:  # noqa: ARG002 (Lightning's signature)
        """Seed this step."""
        sequence = np.random.SeedSequence((self.seed, self.global_step, self.global_rank))
        torch.manual_seed(int(sequence.generate_state(1, np.uint64)[0] >> np.uint64(1)))

    def training_step(self, batch: Batch, batch_idx: int) -> torch.Tensor:  # noqa: ARG002
        """Loss of a training batch, with the penalty."""
        if self.augmentation is not None:
            batch = self.augmentation(batch)
        loss = self._loss_with_penalties(batch)
        n = len(batch["target"])
        total, events = self._sums(float(loss.detach()) * n, n)
        self._check_finite(total / events, f"step {self.global_step} (epoch {self.current_epoch})")
        self._loss_sum += total
        self._loss_events += int(events)
        return loss

    def _loss_with_penalties(self, batch: Batch) -> torch.Tensor:
        if self.penalty is None and self.adaptation is None:
            return self.loss(self(batch), batch)
        outputs = self.outputs(batch)
        added = []
        if self.adaptation is not None:
            epochs = self.global_step / self.trainer.num_training_batches
            added.append(self.adaptation(outputs, batch, epochs))
            outputs, batch = source_part(outputs, batch)
        if self.penalty is not None:
            added.append(self.penalty(outputs, batch))
        return sum(added, self.loss(outputs.logits, batch))

    def _check_finite(self, loss: float, where: str) -> None:
        if not np.isfinite(loss):
            raise DivergenceError(
                f"the loss is {loss} at {where}; expected a finite number: "
                f"lower the learning rate ({self.learning_rate:g}) or check the cell energies"
            )

    def _sums(self, *numbers: float) -> tuple[float, ...]:
        """Add up numbers of all processes."""
        if self.trainer.world_size == 1:
            return numbers
        total = torch.tensor(numbers, dtype=torch.float64, device=self.device)
        torch.distributed.all_reduce(total)
        return tuple(total.tolist())

    def _from_all(self, parts: list[torch.Tensor]) -> npt.NDArray[np.float64]:
        """Gather the values of the events of all processes, which may have different numbers of them."""
        own = torch.cat(parts).float()
        if self.trainer.world_size == 1:
            return own.cpu().double().numpy()
        gathered: list[Any] = [None] * self.trainer.world_size
        torch.distributed.all_gather_object(gathered, own.cpu().double().numpy())
        return np.concatenate(gathered)

    @property
    def train_loss(self) -> float:
        """Mean loss over the training events of this epoch so far."""
        return self._loss_sum / max(self._loss_events, 1)

    def on_train_epoch_end(self) -> None:
        """Log the mean training loss and start anew."""
        self.log("train_loss", self.train_loss, sync_dist=True)
        self._loss_sum, self._loss_events = 0.0, 0

    def on_validation_epoch_start(self) -> None:
        """Forget the last validation."""
        self._logits, self._targets, self._energies, self._validation_loss = [], [], [], 0.0

    def validation_step(self, batch: Batch, batch_idx: int) -> None:  # noqa: ARG002
        """Collect logits, or outputs."""
        logits = self(batch)
        self._validation_loss += float(self.loss(logits, batch)) * len(logits)
        self._logits.append(logits.detach())
        self._targets.append(batch["target"])
        if not isinstance(self.target, ClassTarget):
            self._energies.append(batch["en3d"])

    def validation_scores(self) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.bool_]]:
        """Logits of the validation events, and whether they are signal, (n,) each, of all processes."""
        return self._from_all(self._logits), self._from_all(self._targets) > 0.5

    def on_validation_epoch_end(self) -> None:
        """Log the loss, and what the target measures."""
        logits, target = self._from_all(self._logits), self._from_all(self._targets)
        loss = self._sums(self._validation_loss)[0] / len(logits)
        self._check_finite(loss, f"the validation of epoch {self.current_epoch}")
        self.log("val_loss", torch.tensor(loss, dtype=torch.float32), prog_bar=True, sync_dist=True)
        for name, value in self.target.metrics(logits, target).items():
            self.log(name, value, sync_dist=True)
        if not isinstance(self.target, ClassTarget):
            loss_of_epoch: RegressionLoss = self.loss  # type: ignore[assignment]
            loss_of_epoch.end_epoch(self.current_epoch, logits, target, self._from_all(self._energies))

    def configure_optimizers(self) -> Any:
        """Return the optimiser of all weights, the penalty's among them, and the schedule of its learning rate."""
        optimiser = OPTIMISERS[self.optimiser](self.parameters(), lr=self.learning_rate, weight_decay=self.weight_decay)
        if self.schedule == "constant":
            return optimiser
        steps = int(self.trainer.estimated_stepping_batches)
        factor = SCHEDULES[self.schedule]
        schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: factor(min(step / steps, 1.0)))
        return {"optimizer": optimiser, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keep the running mean of the loss."""
        checkpoint["train_loss"] = {"sum": self._loss_sum, "events": self._loss_events}

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Go on with the running mean of the loss."""
        self._loss_sum, self._loss_events = checkpoint["train_loss"]["sum"], checkpoint["train_loss"]["events"]
