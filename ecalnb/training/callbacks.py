"""What happens beside the training: history, checkpoints, progress."""

from __future__ import annotations

import io
import logging
import math
import time
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from lightning_fabric.plugins.io.torch_io import TorchCheckpointIO
from pytorch_lightning import Callback, LightningModule, Trainer
from pytorch_lightning.callbacks import Checkpoint

from .._atomic import replacing
from .._progress import Bar, progress
from .errors import TrainingError

__all__ = ["AtomicCheckpointIO", "History", "ProgressLine", "RunCheckpoint", "read_checkpoint"]

log = logging.getLogger(__name__)


class AtomicCheckpointIO(TorchCheckpointIO):
    """Checkpoints that are whole: written under a temporary name in the same folder, then renamed.

    Lightning's own writes to the folder for temporary files and moves, which is a copy where that is another disk.
    """

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None) -> None:  # noqa: ARG002
        """Write a checkpoint."""
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        with replacing(Path(path), TrainingError) as temporary:
            content = io.BytesIO()  # torch's own writer does not say that the disk is full
            torch.save(checkpoint, content)
            temporary.write_bytes(content.getbuffer())

    def load_checkpoint(self, path: str | Path, *_: Any, **__: Any) -> dict[str, Any]:
        """Read a checkpoint."""
        return read_checkpoint(Path(path))


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Content of a checkpoint, on the CPU; nothing in it is executed.

    Raises
    ------
    TrainingError
        If the file is not a checkpoint.
    """
    try:
        checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises anything from EOFError to UnpicklingError
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise TrainingError(
            f"{path} is not a readable checkpoint ({reason}); remove it to start from nothing"
        ) from None
    if not isinstance(checkpoint, dict) or "state_dict" not in checkpoint or "loops" not in checkpoint:
        raise TrainingError(f"{path} is a file of torch, but not a checkpoint of a training")
    return checkpoint


class History(Callback):
    """The learning curves, one row an epoch, in ``metrics.csv``; part of the checkpoint.

    Lightning's CSV logger starts its file anew on a resume; here the file always holds exactly what an uninterrupted
    training would have written.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.rows: list[dict[str, float]] = []
        self._writes = False
        self._metrics: tuple[str, ...] = ()

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:  # noqa: ARG002
        """Of several processes the first one writes; what there is to write is up to the target."""
        self._writes = trainer.is_global_zero
        self._metrics = ("val_loss", *pl_module.target.metric_names)  # type: ignore[union-attr, misc]

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Add a row and write the file."""
        row: dict[str, float] = {"epoch": trainer.current_epoch, "step": trainer.global_step}
        row["train_loss"] = pl_module.train_loss  # type: ignore[assignment]
        row.update({name: float(trainer.callback_metrics[name]) for name in self._metrics})
        self.rows.append(row)
        self.write()
        log.info(
            "epoch %d: training loss %.5f, validation loss %.5f%s",
            row["epoch"], row["train_loss"], row["val_loss"],
            "".join(f", {name.removeprefix('val_')} {row[name]:.5f}" for name in self._metrics[1:]),
        )  # fmt: skip

    def write(self) -> None:
        """Write all rows."""
        if not self._writes:
            return
        columns = ["epoch", "step", "train_loss", *self._metrics]
        with replacing(self.path, TrainingError) as temporary:
            pd.DataFrame(self.rows, columns=columns).to_csv(temporary, index=False)

    def state_dict(self) -> dict[str, Any]:
        """All rows so far."""
        return {"rows": [dict(row) for row in self.rows]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from these rows; the file forgets epochs that are now done again."""
        self.rows = [dict(row) for row in state_dict["rows"]]
        self.write()


class RunCheckpoint(Checkpoint):
    """Write ``last.ckpt`` to resume from, and ``best.ckpt`` with the weights of the best epoch.

    ``last.ckpt`` is written every so many steps and at the end of each epoch, after validation and early stopping,
    which are the two moments that Lightning resumes from exactly. The best weights are written before it: a training
    killed in between does the epoch again and writes the same ones.
    """

    def __init__(self, folder: Path, every: int, monitor: str, mode: str) -> None:
        self.last, self.best = folder / "last.ckpt", folder / "best.ckpt"
        self.every = every
        self.monitor, self.sign = monitor, {"min": 1, "max": -1}[mode]
        self.best_value, self.best_epoch = math.inf, -1  # of the monitored number times the sign
        self.stopped, self.epochs = False, 0
        self.seconds, self._started = 0.0, 0.0

    def on_train_start(self, *_: Any) -> None:
        """Start the clock, which goes on where a resumed training was."""
        self._started = time.monotonic() - self.seconds

    def on_train_batch_end(self, trainer: Trainer, *_: Any) -> None:
        """Write a checkpoint within the epoch; its last batch is left to the end of the epoch."""
        if trainer.global_step % self.every == 0 and not trainer.fit_loop.epoch_loop.batch_progress.is_last_batch:
            trainer.save_checkpoint(self.last)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:  # noqa: ARG002
        """Write the checkpoint of the epoch, and the weights if they are the best."""
        value = self.sign * float(trainer.callback_metrics[self.monitor])
        if value < self.best_value:
            self.best_value, self.best_epoch = value, trainer.current_epoch
            trainer.save_checkpoint(self.best, weights_only=True)
        self.stopped, self.epochs = bool(trainer.should_stop), trainer.current_epoch + 1
        trainer.save_checkpoint(self.last)

    def state_dict(self) -> dict[str, Any]:
        """Return the best epoch, whole epochs, whether early stopping has ended the training, and its time."""
        self.seconds = time.monotonic() - self._started
        return {name: getattr(self, name) for name in ("best_value", "best_epoch", "stopped", "epochs", "seconds")}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from there."""
        for name, value in state_dict.items():
            setattr(self, name, value)


class ProgressLine(Callback):
    """A progress bar over the batches of each epoch, where somebody is looking."""

    def __init__(self) -> None:
        self._bar: Bar | None = None

    def _close(self) -> None:
        if self._bar is not None:
            self._bar.__exit__(None, None, None)
            self._bar = None

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:  # noqa: ARG002
        """Open the bar of the epoch."""
        if self._bar is None and trainer.is_global_zero:
            text = f"epoch {trainer.current_epoch}"
            if "val_loss" in trainer.callback_metrics:
                text += f", validation loss {float(trainer.callback_metrics['val_loss']):.4f}"
            self._bar = progress(
                total=float(trainer.num_training_batches), description=text, unit="batches"
            ).__enter__()
            self._bar.advance(batch_idx)

    def on_train_batch_end(self, *_: Any) -> None:
        """One batch is done."""
        if self._bar is not None:
            self._bar.advance()

    def on_train_epoch_end(self, *_: Any) -> None:
        """Close the bar of the epoch."""
        self._close()

    def on_exception(self, *_: Any) -> None:
        """Close the bar when the training fails."""
        self._close()
