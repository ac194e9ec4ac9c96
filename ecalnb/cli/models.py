"""``ecalnb train``, ``ecalnb predict`` and ``ecalnb models``."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

__all__ = ["list_models", "predict", "train"]


class Device(StrEnum):
    """Where to compute."""

    auto = "auto"
    cpu = "cpu"
    cuda = "cuda"
    mps = "mps"


class Sample(StrEnum):
    """Parts of the frozen split of the events."""

    fit = "fit"
    train = "train"
    validation = "validation"
    test = "test"


DeviceOption = Annotated[Device, typer.Option(help="Where to compute; auto takes a GPU if there is one.")]


def train(
    store: Annotated[Path, typer.Argument(help="Store made by `ecalnb convert`, with labelled events.")],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Folder of the training run: weights, history, configuration.")
    ],
    model: Annotated[str, typer.Option(help="Architecture; `ecalnb models` lists them.")] = "ecal_simple_cnn",
    recipe: Annotated[
        str, typer.Option(help="Named set of training settings, or a .toml file with your own.")
    ] = "geant4_sample",
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="KEY=VALUE", help="Change one setting of the recipe, e.g. batch_size=256; repeatable."
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of the random numbers.")] = 1,
    device: DeviceOption = Device.auto,
    resume: Annotated[bool, typer.Option(help="Go on where an interrupted run stopped, or begin anew.")] = True,
) -> None:
    """Train a model to tell electrons from protons.

    Training stops when the validation loss no longer improves, and keeps the best weights. An interrupted run continues
    when it is started again. For example

        ecalnb train store --model ecal_resnet10 -o runs/resnet10
    """
    from ..training import parse_settings
    from ..training import train as train_model

    run = train_model(
        store,
        model=model,
        output=output,
        recipe=recipe,
        seed=seed,
        device=device.value,
        resume=resume,
        **parse_settings(settings or []),
    )
    typer.echo(f"{run.path}: {len(run.history)} epochs")


def predict(
    inputs: Annotated[
        list[str],
        typer.Argument(metavar="RUN... EVENTS", help="Training runs (or weights), then a store or ROOT files (.root)."),
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="Scores table to write (.parquet).")],
    sample: Annotated[
        Sample | None, typer.Option("--split", help="Score this part of the split only; test is unseen by training.")
    ] = None,
    device: DeviceOption = Device.auto,
) -> None:
    """Score events with trained models.

    The table has a row for each event: key, energy, label, and a column of logits for each model. If it is there
    already, the models are added to it. For example

        ecalnb predict runs/cnn runs/resnet10 store -o scores.parquet --split test
    """
    runs, events = split_inputs(inputs)
    from ..training import predict as predict_scores

    scores = predict_scores(
        runs,
        events if len(events) > 1 else events[0],
        split=None if sample is None else sample.value,
        output=output,
        device=device.value,
    )
    typer.echo(f"{output}: {len(scores):,} events")


def split_inputs(inputs: list[str]) -> tuple[list[str], list[str]]:
    """Training runs and events among what was typed: trailing ROOT files, or else the last one."""
    events: list[str] = []
    runs = list(inputs)
    while runs and runs[-1].endswith(".root"):
        events.insert(0, runs.pop())
    if not events:
        events = [runs.pop()]
    if not runs:
        raise typer.BadParameter("give at least one training run, and after it a store or ROOT files.")
    return runs, events


def list_models() -> None:
    """List the models that can be trained, with their numbers of trainable parameters."""
    from rich.console import Console
    from rich.table import Table

    from ..models import list_models as registered

    table = Table("model", "parameters", "what it is", box=None, pad_edge=False)
    table.columns[1].justify = "right"
    for model in registered():
        table.add_row(model.name, f"{model.parameters:,}", model.description)
    Console().print(table)
