"""``ecalnb predict`` and ``ecalnb export``."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .data import selection_from
from .models import Device, DeviceOption

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["export", "predict", "split_inputs"]


class Backend(StrEnum):
    """What computes the scores."""

    auto = "auto"
    torch = "torch"
    onnxruntime = "onnxruntime"


class Sample(StrEnum):
    """Parts of the frozen split of the events."""

    fit = "fit"
    train = "train"
    validation = "validation"
    test = "test"


def predict(
    inputs: Annotated[
        list[str],
        typer.Argument(metavar="RUN... EVENTS", help="Training runs (or weights), then a store or ROOT files (.root)."),
    ],
    output: Annotated[
        Path,
        typer.Option("--output", "-o", help="Scores table (.parquet), or friend trees of ROOT files (.root)."),
    ],
    sample: Annotated[
        Sample | None, typer.Option("--split", help="Score this part of the split only; test is unseen by training.")
    ] = None,
    division: Annotated[
        str | None,
        typer.Option(
            help="The split that this part is of: default, halves, flight; the one that the runs were trained on."
        ),
    ] = None,
    selection: Annotated[
        str | None,
        typer.Option(
            "--select", help="Events to score: a named selection, a .toml file, or a cut such as 'en3d > 20'."
        ),
    ] = None,
    schema: Annotated[
        str | None, typer.Option(help="Branch names and units of ROOT files: a packaged schema (ams) or a .toml file.")
    ] = None,
    device: DeviceOption = Device.auto,
    backend: Annotated[
        Backend, typer.Option(help="What computes on a CPU; auto takes the faster one where there are many events.")
    ] = Backend.auto,
    threads: Annotated[int | None, typer.Option(min=1, help="Threads to compute with.")] = None,
) -> None:
    """Score events with trained models, or reconstruct them.

    A table has a row for each event: key, energy, label, and a column of logits for each model. If it is there already,
    the models are added to it. Friend trees have an entry for each entry of their ROOT file, with the logit and the
    score of each model, and NaN for events that are not scored; several files get one each, named after them. Of a
    model that was trained for numbers of the track, such as the axis, the table has those with their errors.
    For example

        ecalnb predict runs/cnn runs/resnet10 store -o scores.parquet --split test
        ecalnb predict runs/cnn 'flight/*.root' -o friends/scores.root --select 'en3d > 20'
        ecalnb predict ecal_axis_joint.fast store -o axes.parquet
    """
    runs, events = split_inputs(inputs)
    if output.suffix not in (".parquet", ".root"):
        raise typer.BadParameter(f"{output} is neither a scores table (.parquet) nor a friend tree (.root).")
    options: dict[str, Any] = {
        "split": None if sample is None else sample.value,
        "selection": None if selection is None else selection_from(selection),
        "division": division,
        "device": device.value,
        "backend": backend.value,
        "threads": threads,
    }
    if schema is not None:
        options["schema"] = schema
    from .. import training

    if len(runs) == 1 and output.suffix == ".parquet" and training.is_for_tracks(runs[0]):
        options.pop("backend")
        table = training.predict_tracks(runs[0], events if len(events) > 1 else events[0], output=output, **options)
        typer.echo(f"{output}: {len(table):,} events")
        return
    if output.suffix == ".parquet":
        scores = training.predict(runs, events if len(events) > 1 else events[0], output=output, **options)
        typer.echo(f"{output}: {len(scores):,} events")
        return
    if not all(path.endswith(".root") for path in events):
        raise typer.BadParameter(f"{events[0]} is no ROOT file; friend trees go with ROOT files, tables with all else.")
    for path in training.predict_friends(runs, events, output, **options):
        typer.echo(path)


def split_inputs(inputs: Sequence[str]) -> tuple[list[str], list[str]]:
    """Training runs and events among what was typed: trailing ROOT files, or else the last one."""
    events: list[str] = []
    runs = list(inputs)
    while runs and runs[-1].endswith(".root"):
        events.insert(0, runs.pop())
    if not events:
        events = [runs.pop()]
    if (Path(events[0]) / "config.json").is_file() or events[0].endswith((".safetensors", ".ubj")):
        raise typer.BadParameter(f"{events[0]} is a training run; the events, a store or ROOT files, come last.")
    if not runs:
        raise typer.BadParameter("give at least one training run, and after it a store or ROOT files.")
    return runs, events


def export(
    run: Annotated[str, typer.Argument(help="Training run, or its weights.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="ONNX file to write (.onnx).")],
) -> None:
    """Write a trained network as an ONNX file, for C++ and other programs.

    The graph takes cells in GeV and the columns that the network needs, and gives logit and score, or numbers of the
    track with their errors. It is compared with torch before it is written. For example

        ecalnb export runs/cnn -o cnn.onnx
    """
    from ..training import export_onnx, is_for_tracks, load_track_predictor, load_weights

    path = export_onnx(load_track_predictor(run) if is_for_tracks(run) else load_weights(run), output)
    typer.echo(f"{path}: {path.stat().st_size / 1e6:.1f} MB")
