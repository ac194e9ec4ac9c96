"""Training a model: from a store to a run directory with its weights."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytorch_lightning as lightning
import torch

from .. import models
from .._atomic import write_json
from ..models.conventional import METHODS
from . import _runtime
from .adaptation import Adaptation, PriorGuard, prepare_adaptation
from .augment import make_augmentation
from .callbacks import History, RunCheckpoint, read_checkpoint
from .conventional import check_overrides, train_method
from .data import EcalDataModule, EventSource, Selection, describe_selection
from .errors import TrainingError
from .inputs import inputs_from
from .losses import Loss, make_loss
from .penalties import make_penalty
from .recipes import Recipe, resolve_recipe
from .regression import make_regression_loss
from .rundir import (
    TrainingRun,
    check_folder,
    holds_whole,
    is_finished,
    last_checkpoint,
    locked,
    prepare,
    wait_until_whole,
)
from .targets import ClassTarget, Target, make_target
from .task import EcalTask, Penalty
from .trainer import make_trainer
from .weight_files import check_fits, geometry_to_dict, save_weights
from .weights import start_from

__all__ = ["train"]

log = logging.getLogger(__name__)


def train(
    store: EventSource | str | Path,
    model: str = "ecal_simple_cnn",
    output: str | Path = "training/run",
    *,
    recipe: str | Path | Recipe = "geant4_sample",
    seed: int = 1,
    resume: bool = True,
    selection: Selection | None = None,
    penalty: Penalty | Mapping[str, Any] | None = None,
    target: EventSource | str | Path | None = None,
    device: str = "auto",
    devices: int = 1,
    nodes: int = 1,
    threads: int | None = None,
    checkpoint_every: int = 200,
    tensorboard: bool = False,
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
        The run directory, locked while the training is at work: ``config.json``, ``metrics.csv``,
        ``weights.safetensors`` and ``weights.json``, and ``checkpoints``. Its name is that of the run.
    recipe : str, Path or Recipe
        Hyper-parameters; see :func:`ecalnb.training.resolve_recipe`.
    seed : int
        Seed of weights, order, dropout and augmentation.
    resume : bool
        Go on with what is in the run directory; otherwise remove it and begin anew.
    selection : callable, optional
        Cut on the event table.
    penalty : Penalty or mapping, optional
        Added to the training loss: the settings of a packaged one, which win over the recipe, or one of your own.
    target : Store, str or Path, optional
        Events of the domain that the model is for, without labels; the recipe's `adaptation` says what is done with
        them. Labels that are there are ignored.
    device : {"auto", "cpu", "cuda", "mps"}
        Where to compute.
    devices, nodes : int
        Train in so many processes, one for each device, on each of so many machines (distributed data parallel). Each
        takes batches of the recipe's size, so that a step sees ``devices * nodes`` times as many events. Lightning
        starts the program anew for each process; this is for programs and the command line, not for notebooks.
    threads : int, optional
        Threads of torch in each process; as many as it uses now, shared among the processes, unless told.
    checkpoint_every : int
        Steps between checkpoints within an epoch; there is one at the end of each epoch too.
    tensorboard : bool
        Write logs for TensorBoard too, to ``tensorboard`` in the run directory.
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
        If a setting is wrong, the store has no events for it, the run directory belongs to another training or one is
        at work in it, or the loss is not a finite number.
    ModelError
        If there is no such model or option.
    """
    if isinstance(penalty, Mapping):
        overrides, penalty = {**overrides, "penalty": penalty}, None
    settings = resolve_recipe(recipe, model, overrides)
    if model in METHODS:
        networks_only = {"penalty": penalty, "target": target, "callbacks": callbacks, "tensorboard": tensorboard}
        check_overrides(model, overrides, **networks_only, devices=devices > 1, nodes=nodes > 1)
        return train_method(
            _open(store), model, Path(output), settings, seed=seed, resume=resume, selection=selection, threads=threads
        )
    if checkpoint_every < 1:
        raise TrainingError(f"checkpoint_every is {checkpoint_every}; expected 1 or more steps")
    device = _runtime.pick_device(device)
    _runtime.check_processes(device, devices, nodes)
    output = Path(output)
    check_folder(output)
    with (
        _runtime.thread_number(threads, devices) as used,
        _runtime.reproducible(device),
        _runtime.quiet_lightning(),
    ):
        trainer = make_trainer(output, settings, device, devices, nodes, checkpoint_every, tensorboard, callbacks)
        main = trainer.is_global_zero
        with _runtime.one_voice(main):
            data, task, config, adaptation = _put_together(store, model, settings, seed, selection, penalty, target)
            if adaptation is not None:
                trainer.callbacks.insert(0, adaptation.guard(task))  # type: ignore[attr-defined]
            config["processes"] = trainer.world_size
            config["environment"] = {"device": device, "threads": used, "versions": _versions()}
            if resume and holds_whole(output, config):
                log.info("%s is finished already", output)
                return TrainingRun.load(output)
            # Only the first of several processes writes, and only it knows what was there before.
            with locked(output) if main else nullcontext():
                if main:
                    prepare(output, config, resume)
                    write_json(output / "config.json", config, TrainingError)
                log.info(
                    "training %s (%s parameters) on %s, on %s with %d threads",
                    model, f"{config['parameters']:,}", _numbers(data), device, used,
                )  # fmt: skip
                _fit(trainer, task, data, last_checkpoint(output) if resume else None, settings)
                if main:
                    _export(output, config, task, adaptation)
                else:
                    wait_until_whole(output)
    return TrainingRun.load(output)


def _put_together(
    store: EventSource | str | Path,
    model: str,
    settings: Recipe,
    seed: int,
    selection: Selection | None,
    penalty: Penalty | None,
    target: EventSource | str | Path | None,
) -> tuple[EcalDataModule, EcalTask, dict[str, Any], Adaptation | None]:
    """Make the data module and the task of a training, the record of what they are, and the adaptation."""
    source = _open(store)
    inputs = inputs_from(settings.input_settings, source.geometry)
    other = None if target is None else _open(target)
    adaptation = prepare_adaptation(settings.adaptation, source, other, settings, inputs, selection)
    source = source if adaptation is None else adaptation.source
    if penalty is not None and settings.penalty:
        raise TrainingError(f"the recipe has the penalty {settings.penalty} and another is given; expected one")
    penalty = penalty or make_penalty(settings.penalty)
    needed = getattr(penalty, "columns", ())
    unlabelled = adaptation.target if adaptation is not None and adaptation.paired else None
    data = EcalDataModule(
        source, settings, inputs=inputs, seed=seed, selection=selection, columns=needed, target=unlabelled
    )
    loss, aim, outputs = _aim(settings, data)
    augmentation = make_augmentation(settings.augmentation, source.geometry, inputs.columns, aim)
    torch.manual_seed(seed)
    network = models.create(model, input_size=inputs.shape, num_classes=outputs, **settings.model_options)
    start = start_from(settings.start_from, network) if settings.start_from else None
    task = EcalTask(
        network,
        inputs,
        loss,
        target=aim,
        optimiser=settings.optimiser,
        learning_rate=settings.learning_rate,
        weight_decay=settings.weight_decay,
        schedule=settings.schedule,
        penalty=penalty,
        adaptation=None if adaptation is None else adaptation.penalty(network, inputs, *data.counts("train")),
        augmentation=augmentation,
        seed=seed,
    )
    config = {
        "model": model,
        "model_options": settings.model_options,
        "parameters": models.count_parameters(network),
        "inputs": inputs.to_dict(),
        "loss": loss.to_dict(),
        **({} if isinstance(aim, ClassTarget) else {"outputs": outputs}),
        **({} if start is None else {"start": start}),
        "penalty": describe_selection(penalty),  # type: ignore[arg-type]  # any callable is described alike
        **({} if adaptation is None else {"adaptation": adaptation.to_dict()}),
        "recipe": settings.to_dict(),
        "seed": seed,
        "geometry": geometry_to_dict(source.geometry),
        "data": data.describe(),
    }
    return data, task, config, adaptation


def _aim(settings: Recipe, data: EcalDataModule) -> tuple[Loss, Target, int]:
    """Loss and target of a training, and how many outputs the network has."""
    target = data.of_event
    if isinstance(target, ClassTarget):
        return make_loss(settings.loss, *data.counts("train")), target, 1
    components = len(target.components)
    loss = make_regression_loss(settings.loss, components, settings.resolution_epochs)
    outputs = loss.outputs(components)
    return loss, make_target(target.name, target.geometry, uncertain=outputs > components), outputs


def _numbers(data: EcalDataModule) -> str:
    """Training events in words."""
    signal, background = data.counts("train")
    if isinstance(data.of_event, ClassTarget):
        return f"{signal} signal and {background} background events"
    return f"{signal} events for {data.of_event.name}"


def _open(store: EventSource | str | Path) -> EventSource:
    if isinstance(store, str | Path):
        from ..store import Store

        return Store(store)
    return store


def _versions() -> dict[str, str]:
    return {name: version(name) for name in ("torch", "timm", "pytorch-lightning", "numpy")}


def _fit(
    trainer: lightning.Trainer, task: EcalTask, data: EcalDataModule, checkpoint: Path | None, settings: Recipe
) -> None:
    if is_finished(checkpoint, settings.max_epochs):  # killed between the last epoch and the export of the weights
        return
    if checkpoint is not None:
        _model_state(checkpoint, task)
        log.info("going on from %s", checkpoint)
    trainer.fit(task, datamodule=data, ckpt_path=None if checkpoint is None else str(checkpoint))


def _export(output: Path, config: dict[str, Any], task: EcalTask, adaptation: Adaptation | None) -> None:
    """Write the best weights with all there is to know about them."""
    last = read_checkpoint(output / "checkpoints" / "last.ckpt")["callbacks"]
    best = last[RunCheckpoint.__qualname__]["best_epoch"]
    rows = {int(row["epoch"]): row for row in last[History.__qualname__]["rows"]}
    monitor = config["recipe"]["monitor"]
    info = {
        **{key: value for key, value in config.items() if key != "environment"},
        "epochs": len(rows),
        "validation": rows[best],
        "environment": {**config["environment"], "seconds": round(last[RunCheckpoint.__qualname__]["seconds"], 1)},
    }
    state = _model_state(output / "checkpoints" / "best.ckpt", task)
    if adaptation is not None:
        info["adaptation"] = {**info["adaptation"], "shares": last[PriorGuard.__qualname__]["shares"]}
        state = adaptation.finish(task, state)
    save_weights(output / "weights.safetensors", state, info)
    log.info("%s: %s is best, %.5f, after epoch %d", output, monitor, rows[best][monitor], best)


def _model_state(checkpoint: Path, task: EcalTask) -> dict[str, torch.Tensor]:
    """Weights in a checkpoint, which must be one of this model."""
    prefix = "model."
    state = read_checkpoint(checkpoint)["state_dict"].items()
    tensors = {key.removeprefix(prefix): tensor for key, tensor in state if key.startswith(prefix)}
    check_fits(checkpoint, "the model of this training", task.model, tensors)
    return tensors
