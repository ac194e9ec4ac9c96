"""``ecalnb nuclei``: simulate, train, predict."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

__all__ = ["app"]

app = typer.Typer(
    help="Identify cosmic-ray nuclei from tracker, TOF and TRD.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)


class Abundance(StrEnum):
    """How abundant the species are."""

    equal = "equal"
    natural = "natural"


class Kind(StrEnum):
    """Kinds of models."""

    xgboost = "xgboost"
    mlp = "mlp"
    cnn = "cnn"
    transformer = "transformer"


Schema = Annotated[str, typer.Option(help="Layout of the files: default, or a .toml file.")]
Species = Annotated[
    str, typer.Option(help="Species, separated by commas, such as O,F,Ne; all that are known unless told.")
]
Threads = Annotated[int, typer.Option(min=1, help="Threads to compute with.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace what is there.")]


def _species(text: str) -> tuple[Any, ...]:
    from ..nuclei.parameters import pick

    return pick([name.strip() for name in text.split(",")] if text.strip() else None)


@app.command()
def simulate(
    output: Annotated[Path, typer.Option("--output", "-o", help="The ROOT file to write.")],
    n: Annotated[int, typer.Option("-n", min=1, help="Number of events.")],
    species: Species = "",
    abundance: Annotated[
        Abundance, typer.Option(help="As many of each species, or as in cosmic rays.")
    ] = Abundance.equal,
    rigidity: Annotated[str, typer.Option(help="Limits of the rigidity, GV.")] = "2:2000",
    power: Annotated[float, typer.Option(help="Of the spectrum in rigidity, for equal abundance.")] = -1.7,
    domain: Annotated[str, typer.Option(help="Detector: mc or flight.")] = "mc",
    seed: Annotated[int, typer.Option(min=0, help="Seed of all random numbers.")] = 0,
    schema: Schema = "default",
    overwrite: Overwrite = False,
) -> None:
    """Simulate nuclei into a ROOT file.

    For example

        ecalnb nuclei simulate -n 1000000 --species O,F,Ne,Na,Mg,Si -o nuclei.root
        ecalnb nuclei simulate -n 1000000 --abundance natural --domain flight -o flight.root
    """
    from ..nuclei.ntuples import simulate_nuclei
    from ..nuclei.simulation import Beam

    try:
        low, high = (float(part) for part in rigidity.split(":"))
    except ValueError:
        raise typer.BadParameter(f"--rigidity is {rigidity!r}; expected two limits in GV such as 2:2000.") from None
    beam = Beam(_species(species), abundance.value, (low, high), power)
    settings: dict[str, Any] = {"beam": beam, "domain": domain, "seed": seed}
    written = simulate_nuclei(output, n, schema=schema, overwrite=overwrite, **settings)
    typer.echo(f"{output}: {written:,} nuclei")


@app.command()
def train(
    files: Annotated[list[str], typer.Argument(help="ROOT files with simulated events, or wildcards.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder of the model.")],
    flight: Annotated[
        list[str] | None, typer.Option(help="ROOT files with flight events, to mix in those that pass tight cuts.")
    ] = None,
    flight_share: Annotated[float, typer.Option(help="Their share among the intact nuclei of a species.")] = 0.2,
    model: Annotated[Kind, typer.Option(help="What to train.")] = Kind.xgboost,
    species: Species = "",
    trials: Annotated[int, typer.Option(min=0, help="Trainings of a search of hyper-parameters before; 0: none.")] = 0,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the training.")] = 0,
    threads: Threads = 2,
    schema: Schema = "default",
    overwrite: Overwrite = False,
) -> None:
    """Train a model of species and places of break-up.

    Events are split by their key: training, validation (early stopping), test (not used here). A search that was
    stopped goes on when it is started again.
    """
    from ..nuclei.training import train_on_files

    result = train_on_files(
        files,
        output,
        model.value,
        _species(species),
        flight=flight or (),
        flight_share=flight_share,
        trials=trials,
        seed=seed,
        threads=threads,
        schema=schema,
        overwrite=overwrite,
    )
    loss = result.history["val_loss"].min()
    typer.echo(f"{output}: {model.value} of {len(result.classes)} classes, log-loss {loss:.4f} on validation events")


@app.command()
def predict(
    model: Annotated[Path, typer.Argument(help="Folder of a trained model.")],
    files: Annotated[list[str], typer.Argument(help="ROOT files, or wildcards.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="The Parquet file to write.")],
    training_mixture: Annotated[
        bool, typer.Option("--training-mixture", help="Probabilities of the mixture of training, not the natural one.")
    ] = False,
    threads: Threads = 2,
    schema: Schema = "default",
    overwrite: Overwrite = False,
) -> None:
    """Write the probabilities of all classes for the events of files."""
    from ..nuclei.model import load_model
    from ..nuclei.predictions import write_predictions

    written = write_predictions(
        load_model(model),
        files,
        output,
        schema=schema,
        natural=not training_mixture,
        threads=threads,
        overwrite=overwrite,
    )
    typer.echo(f"{output}: {written:,} events")
