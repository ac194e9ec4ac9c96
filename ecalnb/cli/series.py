"""``ecalnb run``, ``ecalnb make`` and ``ecalnb lab``."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from ..workflow import Outcome

__all__ = ["lab", "make", "run"]


class Scale(StrEnum):
    """Size of a run."""

    smoke = "smoke"
    demo = "demo"
    paper = "paper"


ProfileOption = Annotated[
    str | None,
    typer.Option(metavar="NAME|FOLDER", help="Submit the jobs to a cluster: slurm, htcondor, or a profile's folder."),
]


def run(
    notebooks: Annotated[
        list[str] | None, typer.Argument(metavar="[NN]...", help="Notebooks by number, e.g. 01 04; all unless told.")
    ] = None,
    scale: Annotated[
        Scale,
        typer.Option(help="smoke: minutes, to see that it works; demo: figures to show; paper: a GPU or a cluster."),
    ] = Scale.demo,
    cores: Annotated[int | None, typer.Option(min=1, help="Cores to use; all unless told.")] = None,
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Folder for figures, numbers and executed notebooks.")
    ] = Path("output"),
    data_dir: Annotated[
        Path | None, typer.Option(help="Folder with your own ROOT files and a datasets.toml; else the packaged sample.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of the random numbers.")] = 1,
    folder: Annotated[
        Path | None, typer.Option("--notebooks", help="Folder of notebooks; the packaged series unless told.")
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Run the notebooks again although nothing has changed.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", "-n", help="Only say what would be done.")] = False,
    cluster_profile: ProfileOption = None,
    snakemake: Annotated[
        str, typer.Option(metavar="'OPTIONS'", help="More options for Snakemake, e.g. '--executor slurm --jobs 20'.")
    ] = "",
) -> None:
    """Execute the notebook series, and what it needs.

    What is up to date is not done again, independent notebooks run side by side, and a run that was killed continues
    when it is started again. A notebook that fails leaves its executed copy with the error, and the others go on.
    """
    import shlex

    from .. import workflow

    try:
        options = shlex.split(snakemake)
    except ValueError as error:
        raise typer.BadParameter(f"{snakemake} has no closing quotation mark.", param_hint="--snakemake") from error
    if output.exists() and not output.is_dir():
        raise NotADirectoryError(f"{output} is a file; expected a folder, or nothing yet")
    series = workflow.load_series(folder)
    chosen = workflow.select(series, notebooks or [])
    outcome = workflow.execute(
        [target for book in chosen for target in book.targets],
        output,
        scale=scale.value,
        seed=seed,
        data_dir=data_dir,
        notebooks=folder,
        cores=cores,
        force=[book.name for book in chosen] if force else [],
        dry_run=dry_run,
        profile=cluster_profile,
        options=options,
        waiting=lambda sentence: typer.echo(sentence, err=True),
    )
    if dry_run:
        for name in outcome.planned:
            typer.echo(name)
        if not outcome.planned and outcome.succeeded:
            typer.echo("everything is up to date")
    elif chosen:
        _report(outcome, [book.name for book in chosen])
    if not outcome.succeeded:
        if not outcome.failed:
            raise workflow.WorkflowError(workflow.explain(outcome))
        raise typer.Exit(1)


def _report(outcome: Outcome, chosen: list[str]) -> None:
    """Say what was done, and where it is."""
    from ..workflow import shown_in

    output = outcome.output_dir
    for name, reason in outcome.failed.items():
        typer.echo(f"{name} failed: {reason} (see {shown_in(outcome, name)})", err=True)
    if outcome.succeeded and not outcome.finished:
        typer.echo("everything is up to date")
    elif not outcome.succeeded:
        there = [name for name in chosen if name in outcome.failed or (output / "metrics" / f"{name}.json").exists()]
        if rest := [name for name in chosen if name not in there]:
            typer.echo(f"not run, for want of their inputs: {', '.join(rest)}", err=True)
    for what, pattern in (
        ("figures", "figures/*.png"),
        ("numbers", "metrics/*.json"),
        ("notebooks", "notebooks/*.ipynb"),
    ):
        if count := len(list(output.glob(pattern))):
            typer.echo(f"{what}: {output / what if what != 'numbers' else output / 'metrics'} ({count})")


def make(
    targets: Annotated[
        list[str],
        typer.Argument(metavar="TARGET...", help="What to make: stores/mc_low, scores/geant4_sample.parquet, ..."),
    ],
    scale: Annotated[Scale, typer.Option(help="How many events are simulated, as for the notebooks.")] = Scale.demo,
    cores: Annotated[int | None, typer.Option(min=1, help="Cores to use; all unless told.")] = None,
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for all that is made.")] = Path("output"),
    data_dir: Annotated[
        Path | None, typer.Option(help="Folder with your own ROOT files and a datasets.toml; else the packaged ones.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of the random numbers of notebooks and trainings.")] = 1,
    cluster_profile: ProfileOption = None,
) -> None:
    """Make inputs of notebooks: simulate a dataset and convert it into a store, for example.

    Files of a dataset are simulated, converted and scored side by side, and what is there already is not made again.
    For example

        ecalnb make stores/mc_low
        ecalnb make runs/mc_low/ecal_simple_cnn
        ecalnb make predictions/ecal_simple_cnn@mc_low/mc.parquet predictions/ecal_resnet10.fast/mc.parquet
    """
    from .. import workflow

    for target in targets:
        path = workflow.ensure(target, output, scale.value, data_dir, seed=seed, cores=cores, profile=cluster_profile)
        typer.echo(str(path))


def lab(
    options: Annotated[
        list[str] | None,
        typer.Argument(metavar="[-- OPTIONS]", help="More options for JupyterLab, e.g. -- --allow-root."),
    ] = None,
    folder: Annotated[
        Path | None,
        typer.Option(
            help="Where your copies of the notebooks go: ./ecalnb-notebooks unless told; not used in a checkout."
        ),
    ] = None,
    browser: Annotated[bool, typer.Option(help="Open a browser, or only say the address.")] = True,
    port: Annotated[int, typer.Option(help="Port of JupyterLab.")] = 8888,
) -> None:
    """Open JupyterLab on the notebooks.

    In a checkout of the repository these are its own notebooks. Installed from a wheel, they are copied first; a copy
    that you have changed is never overwritten.
    """
    import importlib.util
    import os
    import sys

    from ..workflow.copies import working_copy

    if importlib.util.find_spec("jupyterlab") is None:
        raise ModuleNotFoundError("jupyterlab", name="jupyterlab")
    place, kept = working_copy(folder)
    if kept:
        typer.echo(f"kept as you changed them: {', '.join(kept)}", err=True)
    typer.echo(f"notebooks: {place}")
    command = [sys.executable, "-m", "jupyterlab", f"--notebook-dir={place}", f"--port={port}"]
    command += [] if browser else ["--no-browser"]
    sys.stdout.flush()
    os.execv(sys.executable, [*command, *(options or [])])  # in our place: a signal to us is one to JupyterLab
