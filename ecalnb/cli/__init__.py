"""The ``ecalnb`` command.

Exit codes: 0 when all went well, 1 for bad input or a failed notebook, 2 for a command that was typed wrongly, 130
after an interrupt. Results go to standard output; progress, warnings and the sentence of an error to standard error.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import sys
import traceback
from collections.abc import Iterator, Sequence
from typing import Annotated, Any

import typer

from .. import __version__
from . import data, display, models, nuclei, reconstruct, scoring, series, simulate, validate

__all__ = ["app", "main"]

INTERRUPTED = 130
# What the library calls an option, and what it is called here.
OPTIONS = {"overwrite=True": "--overwrite", "resume=False": "--no-resume", "jobs=1": "--jobs 1"}

app = typer.Typer(
    name="ecalnb",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="`ecalnb COMMAND --help` explains a command. The notebooks tell the story: `ecalnb lab` opens them.",
)
app.command()(simulate.simulate)
app.command()(validate.validate)
app.command()(data.convert)
app.command()(models.train)
app.command("scan-learning-rate")(models.scan_learning_rate)
app.command()(scoring.predict)
app.command()(scoring.export)
app.command()(reconstruct.reconstruct)
app.command()(series.run)
app.command()(series.make)
app.command()(series.lab)
app.command("models")(models.list_models)
app.command()(data.info)
app.add_typer(nuclei.app, name="nuclei")
app.command()(display.display)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"ecalnb {__version__}")
        raise typer.Exit


@app.callback()
def _common(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="With an error, show where in the code it arose.")] = False,
) -> None:
    """Particle identification with the AMS-02 electromagnetic calorimeter (ECAL), from ROOT files to figures.

    [bold]simulate[/bold] makes events, [bold]convert[/bold] reads ROOT ntuples into a store, [bold]train[/bold]
    trains a model on it, [bold]predict[/bold] scores events; [bold]run[/bold] executes the notebook series that does
    all of this.
    """


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit code."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in words
    # Accepted anywhere, because one adds it to the end of the command that has just failed.
    words = [word for word in words if word != "--debug"]
    try:
        with _logging(debug):
            code = typer.main.get_command(app).main(args=words, prog_name="ecalnb", standalone_mode=False)
        if code == INTERRUPTED:  # what newer versions of typer make of a KeyboardInterrupt
            return _say("interrupted; the same command goes on from here", INTERRUPTED)
        return int(code or 0)
    except (KeyboardInterrupt, typer.Abort):
        return _say("interrupted; the same command goes on from here", INTERRUPTED)
    except BrokenPipeError:  # for example `ecalnb info ... | head`
        sys.stderr.close()
        return 1
    except Exception as error:
        if hasattr(error, "format_message"):  # what typer and click raise for a command typed wrongly
            context = getattr(error, "ctx", None)
            command = context.command_path if context else "ecalnb"
            if not error.format_message():  # no command at all: the help has been shown
                return 2
            return _say(f"{_typed(error)} (`{command} --help` shows what is possible)", 2)
        if debug:
            traceback.print_exc()
        sentence = _sentence(error)
        for python, option in OPTIONS.items():
            sentence = sentence.replace(python, option)
        return _say(sentence, 1)


def _typed(error: Any) -> str:
    """Say what is wrong with a command, and which value, in words that are the same with all versions of typer."""
    text = _one_line(error.format_message()).replace("Value error, ", "")
    if "Input should be" in text and hasattr(error.__cause__, "errors"):
        text += f", not {error.__cause__.errors()[0]['input']!r}"
    return text.replace(": Input should be", ": it should be").replace(", unable to parse string as an integer", "")


def _sentence(error: Exception) -> str:
    """Put an error in one sentence for the user."""
    if isinstance(error, ModuleNotFoundError):
        return _missing_module(error)
    if isinstance(error, OSError) and error.strerror:
        if error.errno == errno.ENOSPC:
            return f"the disk is full: could not write {error.filename or 'a file'}; free some space and run it again"
        return f"{error.strerror}: {error.filename}" if error.filename else str(error.strerror)
    if isinstance(error, (ValueError, OSError)) or type(error).__module__.startswith("ecalnb."):
        return _one_line(str(error))
    if isinstance(error, KeyError) and error.args:
        return _one_line(str(error.args[0]))
    return f"{type(error).__name__}: {_one_line(str(error))} (this is not expected; --debug shows where it arose)"


def _missing_module(error: ModuleNotFoundError) -> str:
    extras = {
        "train": ("torch", "timm", "pytorch_lightning", "lightning", "safetensors", "xgboost"),
        "export": ("onnx", "onnxruntime", "onnxscript"),
        "explain": ("captum",),
        "geant4": ("geant4_pybind", "xraydb"),
        "nuclei": ("optuna", "globalsplinefit", "rtdl_revisiting_models"),
        "display": ("k3d", "anywidget", "ipywidgets"),
        "notebooks": ("snakemake", "papermill", "jupyterlab", "ipykernel", "nbclient"),
    }
    name = (error.name or "").split(".")[0]
    for extra, modules in extras.items():
        if name in modules:
            return f'{name} is not installed, which this needs: pip install "ecalnb[{extra}]"'
    return f"{name or error} is not installed; install ecalnb again"


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _say(text: str, code: int) -> int:
    sys.stderr.write(f"ecalnb: {text}\n")
    return code


class _Console(logging.Handler):
    """Writes to whatever standard error is at the moment: a progress bar puts itself in its place to stay below."""

    def emit(self, record: logging.LogRecord) -> None:
        sys.stderr.write(self.format(record) + "\n")


@contextlib.contextmanager
def _logging(debug: bool) -> Iterator[None]:
    """Messages of the package on standard error, while a command runs."""
    handler = _Console()
    handler.setFormatter(logging.Formatter("%(message)s"))
    logger = logging.getLogger("ecalnb")
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG if debug else logging.INFO)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
