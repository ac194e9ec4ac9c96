"""A guard against a target that mixes the classes differently from the source."""

from __future__ import annotations

import logging
from typing import Any

import torch
from pytorch_lightning import Callback, LightningModule, Trainer

from .penalties import DomainPenalty
from .priors import SignalShare, share_by_confusion
from .target import TargetEvents

__all__ = ["PriorGuard"]

log = logging.getLogger(__name__)

_EVENTS = 4000  # target events that are scored for an estimate
_LARGEST_ERROR = 0.1  # of an estimate that source events are weighted by
_ONE_CLASS = 0.01  # share of a class below which there may as well be none of it


class PriorGuard(Callback):
    """Estimate the target's share of signal after each epoch, and warn at the end if it is not that of the source.

    Parameters
    ----------
    target : TargetEvents
        The target.
    penalty : DomainPenalty, optional
        Gets the estimate, if it is to weight source events by it.
    """

    def __init__(self, target: TargetEvents, penalty: DomainPenalty | None) -> None:
        self.target, self.penalty = target, penalty
        self.shares: list[list[float]] = []  # value and error of each epoch

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Score some target events and compare with the validation events of the source."""
        logits, labels = pl_module.validation_scores()  # type: ignore[operator]
        with trainer.precision_plugin.forward_context(), torch.inference_mode():
            scores = torch.cat([
                pl_module({name: values.to(pl_module.device) for name, values in batch.items()}).float().cpu()
                for batch in self.target.some(_EVENTS)
            ])  # fmt: skip
        if not torch.isfinite(scores).all():
            return  # the training stops with an error of its own
        share = share_by_confusion(logits[labels > 0.5], logits[labels < 0.5], scores.double().numpy())
        self.shares.append([share.value, share.error])
        if self.penalty is not None and share.error < _LARGEST_ERROR:
            # Never quite none of a class: the weights of source events have to stay positive.
            self.penalty.target_share.fill_(min(max(share.value, _ONE_CLASS / 10), 1 - _ONE_CLASS / 10))

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:  # noqa: ARG002
        """Warn if the classes are mixed differently."""
        if self.shares and trainer.is_global_zero:
            counts = trainer.datamodule.counts("train")  # type: ignore[attr-defined]
            warn_of_share(SignalShare(*self.shares[-1]), counts[0] / sum(counts))

    def state_dict(self) -> dict[str, Any]:
        """Estimates so far."""
        return {"shares": [list(share) for share in self.shares]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from there."""
        self.shares = [list(share) for share in state_dict["shares"]]


def warn_of_share(share: SignalShare, source: float) -> None:
    """Warn of a target of one class only, or one whose share of signal is another than the source's, by a factor 2."""
    if not _ONE_CLASS <= share.value <= 1 - _ONE_CLASS:
        which = "background" if share.value < 0.5 else "signal"
        log.warning(
            "the target seems to be %s only (estimated share of signal %.4f ± %.4f, source %.3f): features that are "
            "aligned mix the classes up; give the prior of the target, or choose a target with both", which,
            share.value, share.error, source,
        )  # fmt: skip
        return
    odds = share.value / (1 - share.value) / (source / (1 - source))
    if not 0.5 <= odds <= 2:
        log.warning(
            "the target's share of signal is estimated as %.3f ± %.3f, that of the source is %.3f: features that are "
            "aligned may mix the classes up; a new training with prior=%.3f weights source events to it",
            share.value, share.error, source, share.value,
        )  # fmt: skip
