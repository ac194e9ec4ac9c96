"""The trainer: Lightning, with this package's callbacks, checkpoints and logs."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from pathlib import Path

import pytorch_lightning as lightning
from pytorch_lightning.callbacks import EarlyStopping
from pytorch_lightning.loggers import Logger

from .batchnorm import PreciseBatchNorm
from .callbacks import AtomicCheckpointIO, History, ProgressLine, RunCheckpoint
from .errors import TrainingError
from .recipes import MONITORS, Recipe

__all__ = ["make_trainer"]


def make_trainer(
    output: Path,
    settings: Recipe,
    device: str,
    devices: int,
    nodes: int,
    checkpoint_every: int,
    tensorboard: bool,
    callbacks: Sequence[lightning.Callback],
) -> lightning.Trainer:
    """Make Lightning's trainer with everything that goes on beside a training.

    Parameters
    ----------
    output : Path
        The run directory.
    settings : Recipe
        Of the training.
    device : str
        Where to compute.
    devices, nodes : int
        Processes on a machine, and machines.
    checkpoint_every : int
        Steps between checkpoints within an epoch.
    tensorboard : bool
        Write logs for TensorBoard too.
    callbacks : sequence of lightning.Callback
        Further callbacks.

    Raises
    ------
    TrainingError
        If TensorBoard is asked for and not installed.
    """
    return lightning.Trainer(
        accelerator={"cuda": "gpu"}.get(device, device),
        devices=devices,
        num_nodes=nodes,
        strategy="auto" if devices * nodes == 1 else "ddp",
        precision=settings.precision,  # type: ignore[arg-type]  # checked by the recipe
        max_epochs=settings.max_epochs,
        callbacks=[
            History(output / "metrics.csv"),
            ProgressLine(),
            EarlyStopping(settings.monitor, settings.tolerance, settings.patience, mode=MONITORS[settings.monitor]),
            *([PreciseBatchNorm(settings.batch_norm_events)] if settings.batch_norm_events else []),
            RunCheckpoint(output / "checkpoints", checkpoint_every, settings.monitor, MONITORS[settings.monitor]),
            *callbacks,
        ],
        plugins=[AtomicCheckpointIO()],
        logger=_tensorboard(output) if tensorboard else False,
        log_every_n_steps=1,  # what is logged is logged once an epoch
        num_sanity_val_steps=0,
        use_distributed_sampler=False,  # the loader shares the events out
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=output,
    )


def _tensorboard(output: Path) -> Logger:
    if importlib.util.find_spec("tensorboard") is None:
        raise TrainingError('logs for TensorBoard need a package more: pip install "ecalnb[tensorboard]"')
    from pytorch_lightning.loggers import TensorBoardLogger

    return TensorBoardLogger(output, name="tensorboard", version="", default_hp_metric=False)
