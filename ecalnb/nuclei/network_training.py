"""Training of the networks, with Lightning: early stopping, and the best epoch is kept."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytorch_lightning as lightning
import torch
from pytorch_lightning.callbacks import EarlyStopping
from torch import nn

from ..training._runtime import pick_device, quiet_lightning, reproducible, thread_number
from .networks import make_network
from .protocol import TrainingSet

__all__ = ["NetworkSettings", "Scaling", "predict_network", "train_network"]


@dataclass(frozen=True)
class NetworkSettings:
    """Hyper-parameters of a training.

    Parameters
    ----------
    learning_rate, weight_decay : float
        Of AdamW.
    batch_size, epochs, patience : int
        Events of a batch, most epochs, and epochs without a better log-loss on validation events before it stops.
    network : dict
        Settings of the network.
    """

    learning_rate: float = 1e-3
    weight_decay: float = 1e-5
    batch_size: int = 512
    epochs: int = 30
    patience: int = 4
    network: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Scaling:
    """Standardisation of variables: median and half of the central 68 %, cut off at `LIMIT`.

    Parameters
    ----------
    middle, width : array, shape (columns,)
        Of each variable.
    """

    middle: npt.NDArray[np.float32]
    width: npt.NDArray[np.float32]
    LIMIT = 5.0

    @classmethod
    def of(cls, values: npt.NDArray[np.float32]) -> Scaling:
        """Scaling of a sample; of a variable that is never measured it is anything."""
        some = values[:50_000]
        never = np.isnan(some).all(axis=0)
        low, middle, high = np.nanquantile(np.where(never, 0.0, some), [0.16, 0.5, 0.84], axis=0)
        width = np.where(high > low, (high - low) / 2, 1.0)
        return cls(middle.astype(np.float32), width.astype(np.float32))

    def __call__(self, values: npt.NDArray[np.float32]) -> tuple[torch.Tensor, torch.Tensor]:
        """Standardised variables, and the mask of what is missing."""
        missing = np.isnan(values)
        scaled = ((values - self.middle) / self.width).clip(-self.LIMIT, self.LIMIT)
        return torch.from_numpy(np.where(missing, np.float32(0), scaled)), torch.from_numpy(missing.astype(np.float32))


class _Batches:
    """Batches of tensors in memory, in a new order each epoch; many times faster than a loader of single events."""

    def __init__(self, tensors: tuple[torch.Tensor, ...], size: int, seed: int | None) -> None:
        self.tensors, self.size, self.seed, self.epoch = tensors, size, seed, 0

    def __len__(self) -> int:
        return -(-len(self.tensors[0]) // self.size)

    def __iter__(self) -> Iterator[tuple[torch.Tensor, ...]]:
        n = len(self.tensors[0])
        order = np.arange(n) if self.seed is None else np.random.default_rng((self.seed, self.epoch)).permutation(n)
        self.epoch += 1
        for start in range(0, n, self.size):
            chosen = torch.from_numpy(order[start : start + self.size])
            yield tuple(tensor[chosen] for tensor in self.tensors)


class _Task(lightning.LightningModule):
    """Weighted cross-entropy; remembers the losses of each epoch and the weights of the best."""

    def __init__(self, network: nn.Module, settings: NetworkSettings) -> None:
        super().__init__()
        self.network, self.settings = network, settings
        self.rows: list[dict[str, float]] = []
        self.best: dict[str, torch.Tensor] = {}
        self._sums = {"train": [0.0, 0.0], "val": [0.0, 0.0]}

    def _loss(self, batch: tuple[torch.Tensor, ...], part: str) -> torch.Tensor:
        values, mask, labels, weights = batch
        losses = nn.functional.cross_entropy(self.network(values, mask), labels, reduction="none")
        total = (weights * losses).sum()
        self._sums[part][0] += float(total.detach())
        self._sums[part][1] += float(weights.sum())
        return total / weights.sum()

    def training_step(self, batch: tuple[torch.Tensor, ...], _: int) -> torch.Tensor:
        return self._loss(batch, "train")

    def validation_step(self, batch: tuple[torch.Tensor, ...], _: int) -> None:
        self._loss(batch, "val")

    def on_validation_epoch_end(self) -> None:
        losses = {f"{part}_loss": total / max(weight, 1e-9) for part, (total, weight) in self._sums.items()}
        self._sums = {part: [0.0, 0.0] for part in self._sums}
        self.log("val_loss", losses["val_loss"])
        if not self.rows or losses["val_loss"] < min(row["val_loss"] for row in self.rows):
            self.best = {name: tensor.detach().clone() for name, tensor in self.network.state_dict().items()}
        self.rows.append({"epoch": float(len(self.rows)), **losses})

    def configure_optimizers(self) -> Any:
        settings = self.settings
        optimizer = torch.optim.AdamW(
            self.network.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay
        )
        plateau = torch.optim.lr_scheduler.ReduceLROnPlateau(
            optimizer, patience=max(settings.patience // 2, 1), factor=0.3
        )
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": plateau, "monitor": "val_loss"}}


def train_network(
    name: str,
    train: TrainingSet,
    validation: TrainingSet,
    settings: NetworkSettings,
    *,
    seed: int = 0,
    threads: int = 2,
    device: str = "auto",
) -> tuple[nn.Module, Scaling, pd.DataFrame]:
    """Train a network and keep its best epoch.

    Parameters
    ----------
    name : str
        Name of the network.
    train, validation : TrainingSet
        Events to train on and to stop by.
    settings : NetworkSettings
        Hyper-parameters.
    seed, threads : int
        Seed of weights and order of events, and threads.
    device : str
        ``auto``, ``cpu``, ``cuda`` or ``mps``.

    Returns
    -------
    network : torch.nn.Module
        On the CPU.
    scaling : Scaling
        Of its variables.
    history : pandas.DataFrame
        Losses of each epoch: ``epoch``, ``train_loss``, ``val_loss``.
    """
    device = pick_device(device)
    scaling = Scaling.of(train.values)
    loaders = [
        _Batches(
            (*scaling(each.values), torch.from_numpy(each.labels), torch.from_numpy(each.weights)),
            settings.batch_size if each is train else 4096,
            seed if each is train else None,
        )
        for each in (train, validation)
    ]
    with reproducible(device), thread_number(threads), quiet_lightning():
        torch.manual_seed(seed)
        network = make_network(name, train.values.shape[1], train.prior.shares.shape[1], **settings.network)
        task = _Task(network, settings)
        trainer = lightning.Trainer(
            accelerator={"cuda": "gpu"}.get(device, device),
            devices=1,
            max_epochs=settings.epochs,
            callbacks=[EarlyStopping("val_loss", patience=settings.patience)],
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            num_sanity_val_steps=0,
            gradient_clip_val=1.0,
        )
        trainer.fit(task, loaders[0], loaders[1])
    network.load_state_dict(task.best)
    return network.cpu().eval(), scaling, pd.DataFrame(task.rows).astype({"epoch": int})


def predict_network(
    network: nn.Module, scaling: Scaling, values: npt.NDArray[np.float32], threads: int = 2
) -> npt.NDArray[np.float32]:
    """Probabilities of the classes, shape (n, classes)."""
    with torch.inference_mode(), thread_number(threads):
        parts = [
            torch.softmax(network(*scaling(values[start : start + 4096])), dim=1)
            for start in range(0, len(values), 4096)
        ]
    return torch.cat(parts).numpy()
