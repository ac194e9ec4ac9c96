"""``ecalnb train``, ``ecalnb scan-learning-rate`` and ``ecalnb models``."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from .curves import draw_learning_curves, draw_scan

__all__ = ["Device", "DeviceOption", "list_models", "scan_learning_rate", "train"]


class Device(StrEnum):
    """Where to compute."""

    auto = "auto"
    cpu = "cpu"
    cuda = "cuda"
    mps = "mps"


DeviceOption = Annotated[Device, typer.Option(help="Where to compute; auto takes a GPU if there is one.")]
StoreArgument = Annotated[Path, typer.Argument(help="Store made by `ecalnb convert`, with labelled events.")]
ModelOption = Annotated[str, typer.Option(help="Architecture; `ecalnb models` lists them.")]
RecipeOption = Annotated[str, typer.Option(help="Named set of training settings, or a .toml file with your own.")]
SeedOption = Annotated[int, typer.Option(help="Seed of the random numbers.")]
SettingsOption = Annotated[
    list[str] | None,
    typer.Option(
        "--set", metavar="KEY=VALUE", help="Change one setting of the recipe, e.g. batch_size=256; repeatable."
    ),
]


def train(
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Folder of the training run: weights, history, configuration.")
    ],
    store: Annotated[
        Path | None, typer.Argument(help="Store made by `ecalnb convert`, with labelled events.", show_default=False)
    ] = None,
    model: ModelOption = "ecal_simple_cnn",
    recipe: RecipeOption = "geant4_sample",
    settings: SettingsOption = None,
    seed: SeedOption = 1,
    device: DeviceOption = Device.auto,
    devices: Annotated[int, typer.Option(help="Processes to train in on this machine, e.g. one for each GPU.")] = 1,
    nodes: Annotated[int, typer.Option(help="Machines that take part, each with so many devices.")] = 1,
    adapt: Annotated[
        str | None,
        typer.Option(help="Adapt to the events of --target by coral, mmd, dann, mcc, batch_norm or response."),
    ] = None,
    target: Annotated[
        Path | None, typer.Option(help="Store with events of the target domain; labels in it are ignored.")
    ] = None,
    tensorboard: Annotated[bool, typer.Option("--tensorboard", help="Write logs for TensorBoard too.")] = False,
    resume: Annotated[bool, typer.Option(help="Go on where an interrupted run stopped, or begin anew.")] = True,
    all_weights: Annotated[
        bool, typer.Option("--all-weights", help="Instead make all weights of the package anew, simulation included.")
    ] = False,
) -> None:
    """Train a model to tell electrons from protons.

    Training stops when the validation loss no longer improves, and keeps the best weights. An interrupted run continues
    when it is started again. For example

        ecalnb train store --model ecal_resnet10 -o runs/resnet10
    """
    if all_weights == (store is not None):
        raise typer.BadParameter("give a store to train on, or --all-weights, which simulates its own events")
    if store is None:
        from ..workflow.weights import train_all_weights

        for file in train_all_weights(output, device=device.value):
            typer.echo(f"{file}: {file.stat().st_size / 1e6:.1f} MB")
        return
    from ..training import is_first_process, parse_settings
    from ..training import train as train_model

    overrides = parse_settings(settings or [])
    if adapt is not None:
        overrides["adaptation"] = {"name": adapt, **overrides.get("adaptation", {})}
    run = train_model(
        store,
        model=model,
        output=output,
        recipe=recipe,
        seed=seed,
        device=device.value,
        devices=devices,
        nodes=nodes,
        target=target,
        tensorboard=tensorboard,
        resume=resume,
        **overrides,
    )
    if not is_first_process():
        return
    if len(run.history) > 1:
        draw_learning_curves(run, store)
    typer.echo(f"{run.path}: {len(run.history)} epochs")


def scan_learning_rate(
    store: StoreArgument,
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Folder of the search: a run for each point, table and figure.")
    ],
    model: ModelOption = "ecal_simple_cnn",
    low: Annotated[float, typer.Option("--from", help="Lowest learning rate.")] = 1e-5,
    high: Annotated[float, typer.Option("--to", help="Highest learning rate.")] = 1e-2,
    points: Annotated[int, typer.Option(help="Learning rates to try, evenly spaced in the logarithm.")] = 7,
    epochs: Annotated[int, typer.Option(help="Epochs of each training.")] = 5,
    recipe: RecipeOption = "geant4_sample",
    settings: SettingsOption = None,
    seed: SeedOption = 1,
    device: DeviceOption = Device.auto,
) -> None:
    """Find the learning rate by short trainings on a logarithmic grid.

    The best has the lowest validation loss; test events take no part. An interrupted search continues when it is
    started again. For example

        ecalnb scan-learning-rate store --model ecal_cvt -o scan --from 1e-5 --to 1e-2 --points 7 --epochs 5
    """
    from rich.console import Console
    from rich.table import Table

    from ..training import parse_settings
    from ..training import scan_learning_rate as scan_rates

    scan = scan_rates(
        store,
        model,
        output,
        low=low,
        high=high,
        points=points,
        epochs=epochs,
        recipe=recipe,
        seed=seed,
        device=device.value,
        **parse_settings(settings or []),
    )
    draw_scan(scan, store, model)
    table = Table("learning rate", "validation loss", "AUC", "epoch", "", box=None, pad_edge=False)
    for row in scan.table.itertuples():
        best = "best" if row.learning_rate == scan.best else ""
        table.add_row(f"{row.learning_rate:.4g}", f"{row.val_loss:.5f}", f"{row.val_auc:.5f}", f"{row.epoch}", best)
    Console().print(table)
    typer.echo(f"{output}: the best learning rate is {scan.best:g}")


def list_models() -> None:
    """List the models that can be trained, with their numbers of trainable parameters.

    The number is that of the input the model is made for, given beside it, with one output.
    """
    from rich.console import Console
    from rich.table import Table

    from ..models import TIMM_MODELS, list_weights
    from ..models import list_models as registered
    from ..models.conventional import METHODS

    table = Table("model", "parameters", "input", "what it is", box=None, pad_edge=False)
    table.columns[1].justify = "right"
    for model in registered():
        size = "x".join(map(str, model.input_size))
        table.add_row(model.name, f"{model.parameters:,}", size, model.description)
    for name, title in METHODS.items():
        table.add_row(name, "", "", f"The experiment's kind of method: {title}.")
    console = Console()
    console.print(table)
    if weights := list_weights():
        console.print(f"Trained weights that come with the package: {', '.join(weights)}.")
    console.print(
        f"timm's own models work on padded images, {len(TIMM_MODELS)} are tested, such as timm:convnext_atto."
    )
