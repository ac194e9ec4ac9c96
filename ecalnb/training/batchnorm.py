"""Moments of batch normalisation that belong to the weights they are used with.

In training, batch normalisation uses the moments of the batch, and keeps running means of them for later use. Most
cells of a shower's image are empty, so that a channel can be nearly constant, with a tiny variance; the weights have
moved on a little since the batches that the running mean remembers, and divided by so small a width a little is a lot:
the logits of a good network may be off by any amount. So the moments are computed anew, for the weights as they are,
before each validation (Y. Wu and J. Johnson, Rethinking "Batch" in BatchNorm, arXiv:2105.07576, section 3).
"""

from __future__ import annotations

from pytorch_lightning import Callback, LightningModule, Trainer
from torch.optim.swa_utils import update_bn

__all__ = ["PreciseBatchNorm"]


class PreciseBatchNorm(Callback):
    """Compute the moments of batch normalisation anew before each validation.

    Parameters
    ----------
    events : int
        Number of training events to compute them from, the same ones each time.
    """

    def __init__(self, events: int) -> None:
        self.events = events

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Average the moments of some batches of training events."""
        batches = trainer.datamodule.sample_of_training(self.events)  # type: ignore[attr-defined]
        with trainer.precision_plugin.forward_context():
            images = (
                pl_module.image({name: values.to(pl_module.device) for name, values in batch.items()})  # type: ignore[operator]
                for batch in batches
            )
            update_bn(images, pl_module.model)  # type: ignore[arg-type]
