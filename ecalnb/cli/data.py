"""``ecalnb convert`` and ``ecalnb info``."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from ..selection import Cut

__all__ = ["convert", "info", "selection_from"]


class BadCells(StrEnum):
    """What to do with events that have NaN, infinite or negative cell energies."""

    reject = "reject"
    zero = "zero"
    error = "error"


class Kind(StrEnum):
    """Where events come from."""

    mc = "mc"
    flight = "flight"


def convert(
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder of the store.")],
    files: Annotated[list[str] | None, typer.Argument(help="ROOT files; wildcards in quotes are fine too.")] = None,
    label: Annotated[
        str | None,
        typer.Option(
            help="What the events are: electron, positron, proton... Not needed if the files say (branch pdg)."
        ),
    ] = None,
    dataset: Annotated[
        str | None, typer.Option(help="A dataset of datasets.toml instead of files, for example geant4_sample.")
    ] = None,
    data_dir: Annotated[
        Path | None, typer.Option(help="Folder with your own datasets.toml; else the packaged one is used.")
    ] = None,
    selection: Annotated[
        str | None,
        typer.Option(
            "--select",
            help="Events to keep: a named selection, a .toml file, or a cut such as 'en3d > 20 and track_x < 300'.",
        ),
    ] = None,
    bad_cells: Annotated[
        BadCells,
        typer.Option(help="Events with NaN, infinite or negative cell energies: reject, set to zero, or stop."),
    ] = BadCells.reject,
    schema: Annotated[
        str | None, typer.Option(help="Branch names and units of the files: a packaged schema (ams) or a .toml file.")
    ] = None,
    kind: Annotated[Kind | None, typer.Option(help="Simulated (mc) or recorded (flight) events.")] = None,
    jobs: Annotated[int, typer.Option(min=1, help="Files to convert at the same time.")] = 1,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Remove a store that is there and begin anew.")
    ] = False,
) -> None:
    """Read ROOT ntuples into a training store, one shard a file.

    Run it again to finish an interrupted conversion, or with more files to add them. For example

        ecalnb convert electrons.root -o store --label electron
        ecalnb convert 'protons_*.root' -o store --label proton
    """
    if bool(files) == bool(dataset):
        raise typer.BadParameter("give either ROOT files or --dataset.")
    if dataset and (label or kind):
        raise typer.BadParameter("--label and --kind go with files; a dataset has its own in datasets.toml.")
    if data_dir and not dataset:
        raise typer.BadParameter("--data-dir goes with --dataset.")
    from ..store import convert as convert_files
    from ..workflow.stores import find_dataset

    options: dict[str, Any] = {
        "selection": None if selection is None else selection_from(selection),
        "bad_cells": bad_cells.value,
        "jobs": jobs,
        "overwrite": overwrite,
    }
    if schema:
        options["schema"] = schema
    if dataset:
        store = convert_files(find_dataset(dataset, data_dir), output, **options)
    else:
        store = convert_files(files or [], output, label=label, kind=None if kind is None else kind.value, **options)
    typer.echo(f"{store.path}: {len(store):,} events")


def selection_from(text: str) -> Cut:
    """Make a selection from a packaged name, a TOML file or an expression."""
    from ..selection import Cut, Selection

    if text.isidentifier() or text.endswith(".toml"):
        return Selection.load(text)
    return Cut(text)


def info(
    path: Annotated[Path, typer.Argument(help="A ROOT file, a store, a training run or a scores table.")],
    as_json: Annotated[bool, typer.Option("--json", help="As JSON, for programs.")] = False,
    verify: Annotated[bool, typer.Option("--verify", help="Read a store whole and compare its checksums.")] = False,
) -> None:
    """Say what a file or folder holds: events, labels, energies, columns, and where it comes from."""
    import json

    from .describe import describe, to_text

    facts = describe(path)
    if verify:
        if facts["what"] != "store":
            raise typer.BadParameter(f"{path} is no store but a {facts['what']}, which has no checksums to verify.")
        from ..store import Store

        Store(path).verify()
        facts["checksums"] = "as written"
    typer.echo(json.dumps(facts, indent=2, default=str) if as_json else to_text(facts))
