"""Training a model: from a store to a run directory with its weights."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pandas as pd
import pytorch_lightning as lightning
import torch
from pytorch_lightning.callbacks import EarlyStopping

from .. import models
from .._atomic import write_json
from . import _runtime
from .augment import make_augmentation
from .callbacks import AtomicCheckpointIO, History, ProgressLine, RunCheckpoint, read_checkpoint
from .data import EcalDataModule, EventSource, Selection, describe_selection
from .errors import TrainingError
from .inputs import inputs_from
from .losses import make_loss
from .recipes import Recipe, resolve_recipe
from .task import EcalTask, Penalty
from .weights import check_fits, geometry_to_dict, read_json, save_weights

__all__ = ["TrainingRun", "train"]

log = logging.getLogger(__name__)

_CONTENTS = ("config.json", "metrics.csv", "weights.safetensors", "weights.json", "checkpoints")


@dataclass(frozen=True)
class TrainingRun:
    """A finished training.

    Parameters
    ----------
    path : Path
        The run directory.
    config : dict
        The resolved configuration.
    history : pandas.DataFrame
        One row an epoch: ``epoch``, ``step``, ``train_loss``, ``val_loss``, ``val_auc``, ``val_background_90``.
    info : dict
        Content of ``weights.json``; its ``validation`` holds the metrics of the epoch whose weights were kept.
    """

    path: Path
    config: dict[str, Any] = field(repr=False)
    history: pd.DataFrame = field(repr=False)
    info: dict[str, Any] = field(repr=False)

    @property
    def name(self) -> str:
        """Name of the run: of its directory."""
        return self.path.resolve().name

    @property
    def weights(self) -> Path:
        """The safetensors file."""
        return self.path / "weights.safetensors"

    @property
    def best(self) -> dict[str, float]:
        """Metrics of the epoch whose weights were kept."""
        return self.info["validation"]

    @classmethod
    def load(cls, path: str | Path) -> TrainingRun:
        """Open a run directory.

        Raises
        ------
        TrainingError
            If it is not the directory of a finished training.
        """
        path = Path(path)
        if not (path / "config.json").is_file():
            raise TrainingError(f"{path} is not a run directory; expected config.json in it")
        if not (path / "weights.json").is_file():
            raise TrainingError(f"the training in {path} has not ended; start it again with the same settings to go on")
        history = pd.read_csv(path / "metrics.csv")
        return cls(path, read_json(path / "config.json"), history, read_json(path / "weights.json"))


def train(
    store: EventSource | str | Path,
    model: str = "ecal_simple_cnn",
    output: str | Path = "training/run",
    *,
    recipe: str | Path | Recipe = "geant4_sample",
    seed: int = 1,
    resume: bool = True,
    selection: Selection | None = None,
    penalty: Penalty | None = None,
    device: str = "auto",
    threads: int | None = None,
    checkpoint_every: int = 200,
    callbacks: Sequence[lightning.Callback] = (),
    **overrides: Any,
) -> TrainingRun:
    """Train a model on the training events of a store.

    A training that was stopped in any way goes on from its last checkpoint when it is started again, and on a CPU with
    the same number of threads it ends with the same bits as one that was not stopped. A finished one is not repeated.

    Parameters
    ----------
    store : Store, str or Path
        The events, or the directory of a store.
    model : str
        One of :func:`ecalnb.models.list_models`.
    output : str or Path
        The run directory: ``config.json``, ``metrics.csv``, ``weights.safetensors`` and ``weights.json``, and
        ``checkpoints``. Its name is that of the run.
    recipe : str, Path or Recipe
        Hyper-parameters; see :func:`ecalnb.training.resolve_recipe`.
    seed : int
        Seed of weights, order, dropout and augmentation.
    resume : bool
        Go on with what is in the run directory; otherwise remove it and begin anew.
    selection : callable, optional
        Cut on the event table.
    penalty : Penalty, optional
        Added to the training loss.
    device : {"auto", "cpu", "cuda", "mps"}
        Where to compute.
    threads : int, optional
        Threads of torch; as many as it uses now unless told.
    checkpoint_every : int
        Steps between checkpoints within an epoch; there is one at the end of each epoch too.
    callbacks : sequence of lightning.Callback
        Further callbacks.
    **overrides
        Settings that win over the recipe, for example ``learning_rate=3e-4``; the fields of
        :class:`ecalnb.training.Recipe`.

    Returns
    -------
    TrainingRun
        The finished run.

    Raises
    ------
    TrainingError
        If a setting is wrong, the store has no events for it, the run directory belongs to another training, or the
        loss is not a finite number.
    ModelError
        If there is no such model or option.
    """
    settings = resolve_recipe(recipe, model, overrides)
    if checkpoint_every < 1:
        raise TrainingError(f"checkpoint_every is {checkpoint_every}; expected 1 or more steps")
    device = _runtime.pick_device(device)
    output = Path(output)
    source = _open(store)
    inputs = inputs_from({"name": settings.inputs, "normalisation": settings.normalisation})
    data = EcalDataModule(source, settings, inputs=inputs, seed=seed, selection=selection)
    loss = make_loss(settings.loss, *data.counts("train"))
    with _runtime.thread_number(threads) as used, _runtime.reproducible(device), _runtime.quiet_lightning():
        torch.manual_seed(seed)
        network = models.create(model, input_size=inputs.shape(source.geometry), **settings.model_options)
        task = EcalTask(
            network,
            inputs,
            loss,
            optimiser=settings.optimiser,
            learning_rate=settings.learning_rate,
            weight_decay=settings.weight_decay,
            penalty=penalty,
            augmentation=make_augmentation(settings.augmentation, source.geometry, inputs.columns),
            seed=seed,
        )
        config = {
            "model": model,
            "model_options": settings.model_options,
            "parameters": models.count_parameters(network),
            "inputs": inputs.to_dict(),
            "loss": loss.to_dict(),
            "penalty": describe_selection(penalty),  # type: ignore[arg-type]  # any callable is described alike
            "recipe": settings.to_dict(),
            "seed": seed,
            "geometry": geometry_to_dict(source.geometry),
            "data": data.describe(),
            "environment": {"device": device, "threads": used, "versions": _versions()},
        }
        checkpoint = _prepare(output, config, resume)
        if (output / "weights.json").is_file() and _is_finished(checkpoint, settings.max_epochs):
            log.info("%s is finished already", output)
            return TrainingRun.load(output)
        write_json(output / "config.json", config, TrainingError)
        log.info(
            "training %s (%s parameters) on %d signal and %d background events, on %s with %d threads",
            model, f"{config['parameters']:,}", *data.counts("train"), device, used,
        )  # fmt: skip
        _fit(task, data, output, settings, checkpoint, device, checkpoint_every, callbacks)
        _export(output, config, task)
    return TrainingRun.load(output)


def _open(store: EventSource | str | Path) -> EventSource:
    if isinstance(store, str | Path):
        from ..store import Store

        return Store(store)
    return store


def _versions() -> dict[str, str]:
    return {name: version(name) for name in ("torch", "timm", "pytorch-lightning", "numpy")}


def _prepare(output: Path, config: dict[str, Any], resume: bool) -> Path | None:
    """Make the run directory, or check that it is of this training; returns the checkpoint to go on from."""
    if output.exists() and not output.is_dir():
        raise TrainingError(f"{output} is a file; expected a run directory, or nothing yet")
    if output.is_dir() and any(output.iterdir()) and not (output / "config.json").is_file():
        raise TrainingError(f"{output} is not empty and not a run directory; choose another output")
    if (output / "config.json").is_file():
        if not resume:
            for name in _CONTENTS:
                path = output / name
                shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
        else:
            _check_same(output, read_json(output / "config.json"), config)
    output.mkdir(parents=True, exist_ok=True)
    last = output / "checkpoints" / "last.ckpt"
    return last if last.is_file() else None


def _check_same(output: Path, old: dict[str, Any], new: dict[str, Any]) -> None:
    """Refuse to go on with a training of another model, other data or other settings."""
    before, now = _flat(old), _flat(new)
    threads = before.get("environment.threads"), now["environment.threads"]
    if threads[0] != threads[1]:
        log.warning("%s used %s threads and goes on with %s; the last bits may differ", output, *threads)
    for key in sorted(before.keys() | now.keys()):
        if key.startswith("environment.") or key in ("recipe.name", "recipe.description"):
            continue
        if before.get(key) == now.get(key) or (key == "recipe.max_epochs" and now[key] > before.get(key, 0)):
            continue
        raise TrainingError(
            f"{output} holds a training with {key} = {before.get(key)!r}, not {now.get(key)!r}; "
            "choose another output, or resume=False to replace it"
        )


def _flat(config: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in config.items():
        flat.update(_flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value})
    return flat


def _is_finished(checkpoint: Path | None, max_epochs: int) -> bool:
    """Whether a checkpoint is the end of its training."""
    if checkpoint is None:
        return False
    state = read_checkpoint(checkpoint)["callbacks"].get(RunCheckpoint.__qualname__, {})
    return bool(state.get("stopped")) or state.get("epochs", 0) >= max_epochs


def _fit(
    task: EcalTask,
    data: EcalDataModule,
    output: Path,
    settings: Recipe,
    checkpoint: Path | None,
    device: str,
    checkpoint_every: int,
    callbacks: Sequence[lightning.Callback],
) -> None:
    if _is_finished(checkpoint, settings.max_epochs):  # killed between the last epoch and the export of the weights
        return
    if checkpoint is not None:
        _model_state(checkpoint, task)
        log.info("going on from %s", checkpoint)
    trainer = lightning.Trainer(
        accelerator={"cuda": "gpu"}.get(device, device),
        devices=1,
        precision=settings.precision,  # type: ignore[arg-type]  # checked by the recipe
        max_epochs=settings.max_epochs,
        callbacks=[
            History(output / "metrics.csv"),
            ProgressLine(),
            EarlyStopping("val_loss", min_delta=settings.tolerance, patience=settings.patience),
            RunCheckpoint(output / "checkpoints", checkpoint_every),
            *callbacks,
        ],
        plugins=[AtomicCheckpointIO()],
        logger=False,
        num_sanity_val_steps=0,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=output,
    )
    trainer.fit(task, datamodule=data, ckpt_path=None if checkpoint is None else str(checkpoint))


def _export(output: Path, config: dict[str, Any], task: EcalTask) -> None:
    """Write the best weights with all there is to know about them."""
    last = read_checkpoint(output / "checkpoints" / "last.ckpt")["callbacks"]
    best = last[RunCheckpoint.__qualname__]["best_epoch"]
    rows = {int(row["epoch"]): row for row in last[History.__qualname__]["rows"]}
    info = {
        **{key: value for key, value in config.items() if key != "environment"},
        "epochs": len(rows),
        "validation": rows[best],
        "environment": config["environment"],
    }
    save_weights(output / "weights.safetensors", _model_state(output / "checkpoints" / "best.ckpt", task), info)
    log.info("%s: best validation loss %.5f after epoch %d", output, rows[best]["val_loss"], best)


def _model_state(checkpoint: Path, task: EcalTask) -> dict[str, torch.Tensor]:
    """Weights in a checkpoint, which must be one of this model."""
    prefix = "model."
    state = read_checkpoint(checkpoint)["state_dict"].items()
    tensors = {key.removeprefix(prefix): tensor for key, tensor in state if key.startswith(prefix)}
    check_fits(checkpoint, "the model of this training", task.model, tensors)
    return tensors
