"""``python -m ecalnb.workflow.runner``: one job of the workflow, in a process of its own.

The Snakefile calls it, in the output directory; a person calls ``ecalnb run``. Everything that is said goes to the
job's log file, whose last line is, after a failure, one sentence about it.
"""

from __future__ import annotations

import logging
import os
import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from .._atomic import write_json
from .jobs import JobError, execute_notebook
from .orphans import watch_parent

__all__ = ["app"]

logger = logging.getLogger(__name__)

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


def _start_log(path: Path) -> None:
    """Send logging, warnings and whatever else is printed to the log file, which a running job may be followed by."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    os.close(descriptor)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(levelname)s: %(message)s")
    logging.captureWarnings(True)


def _run(job: Callable[[], None], log: Path) -> None:
    watch_parent(lambda: os._exit(1))
    _start_log(log)
    logger.info("%s", shlex.join(sys.argv))
    try:
        job()
    except JobError as error:
        sys.stderr.write(_one_line(str(error)))
        raise typer.Exit(1) from error
    except Exception as error:
        logger.exception("the job failed")
        sys.stderr.write(_one_line(f"{type(error).__name__}: {error}"))
        raise typer.Exit(1) from error


def _one_line(text: str) -> str:
    return " ".join(text.split()) + "\n"


@app.command("notebook")
def notebook_command(
    path: Path,
    executed: Path,
    outputs: list[Path],
    scale: Annotated[str, typer.Option()],
    seed: Annotated[int, typer.Option()],
    log: Annotated[Path, typer.Option()],
    data_dir: Annotated[str, typer.Option()] = "",
    threads: Annotated[int, typer.Option()] = 1,
) -> None:
    """Execute a notebook in the output directory, which is the working directory."""

    def job() -> None:
        parameters = {"scale": scale, "data_dir": data_dir or None, "output_dir": os.getcwd(), "seed": seed}
        execute_notebook(path, executed, parameters, threads)
        if missing := [str(output) for output in outputs if not output.exists()]:
            raise JobError(f"{path.name} ran to its end without making {', '.join(missing)}, which series.toml names")

    _run(job, log)


@app.command("production")
def production_command(
    dataset: str,
    file: Path,
    log: Annotated[Path, typer.Option()],
    data_dir: Annotated[str, typer.Option()] = "",
) -> None:
    """Simulate a file of a dataset."""

    def job() -> None:
        from .stores import make_file

        make_file(dataset, file, data_dir or None)

    _run(job, log)


@app.command("convert")
def convert_command(
    dataset: str,
    file: str,
    store: Path,
    marker: Path,
    scale: Annotated[str, typer.Option()],
    log: Annotated[Path, typer.Option()],
    data_dir: Annotated[str, typer.Option()] = "",
) -> None:
    """Convert one ROOT file of a dataset."""

    def job() -> None:
        from .stores import convert_one

        shard = convert_one(dataset, file, store, scale, data_dir or None)
        write_json(marker, {"shard": shard.name, "events": shard.n_events})

    _run(job, log)


@app.command("train")
def train_command(
    model: str,
    store: Path,
    run: Path,
    seed: Annotated[int, typer.Option()],
    log: Annotated[Path, typer.Option()],
    threads: Annotated[int, typer.Option()] = 1,
) -> None:
    """Train a model on a store."""

    def job() -> None:
        from .scoring import train_model

        train_model(model, store, run, seed, threads)

    _run(job, log)


@app.command("predict")
def predict_command(
    weights: str,
    dataset: str,
    file: str,
    output: Path,
    scale: Annotated[str, typer.Option()],
    log: Annotated[Path, typer.Option()],
    data_dir: Annotated[str, typer.Option()] = "",
    threads: Annotated[int, typer.Option()] = 1,
) -> None:
    """Score the events of one ROOT file of a dataset."""

    def job() -> None:
        from .scoring import predict_file

        predict_file(weights, dataset, file, output, scale, data_dir or None, threads)

    _run(job, log)


@app.command("join")
def join_command(output: Path, files: list[Path], log: Annotated[Path, typer.Option()]) -> None:
    """Join the scores of the files of a dataset."""

    def job() -> None:
        from .scoring import join

        join(files, output)

    _run(job, log)


@app.command("store")
def store_command(
    dataset: str,
    store: Path,
    scale: Annotated[str, typer.Option()],
    log: Annotated[Path, typer.Option()],
    data_dir: Annotated[str, typer.Option()] = "",
) -> None:
    """Finish the store of a dataset."""

    def job() -> None:
        from .stores import update_store

        update_store(dataset, store, scale, data_dir or None)

    _run(job, log)


if __name__ == "__main__":
    app()
